import type { Account, Power } from '../access/actor.ts'
import { randomSecret } from '../access/secrets.ts'
import { changeUser, findUser, setSuperuser, setUserEnabled, userPage, type UserRow } from '../metadata/accounts.ts'
import { anyAppTokenPage, type AnyAppTokenRow } from '../metadata/any-app-tokens.ts'
import {
  addOrganizationAdmin,
  findOrganizationRow,
  isNamespaceTaken,
  lockNamespace,
  longestRepositoryName,
  organizationPage,
  type OrganizationRow,
  removeNamespace,
  renameNamespace,
  turnIntoOrganization,
} from '../metadata/namespaces.ts'
import { isRepositoryName } from '../oci/repository-name.ts'
import { invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkEmail, checkPassword, parseNewNamespaceName, repositoriesOf, unprefixed } from './names.ts'
import { endLogins, setNewPassword } from './new-password.ts'
import { insertUser, rethrowEmailTaken } from './users.ts'

/** What superusers do with users and organizations that are not theirs; and whoever has the command line. */
export interface Superuser {
  /** Users in the order in which they were made, after the id `after`. */
  users(options: PageOptions & { disabled: boolean }): Promise<ManagedUser[]>
  /** @throws AccountError not_found */
  user(name: string): Promise<ManagedUser>
  /**
   * Makes a user, whose password is made up when left out. @returns the password
   * @throws AccountError invalid_request
   */
  createUser(wish: ManagedUserWish): Promise<string>
  /** A disabled user is signed out everywhere, and can use no credential. @throws AccountError not_found, invalid_request */
  changeUser(name: string, changes: UserAdministration): Promise<ManagedUser>
  /** @throws AccountError not_found */
  removeUser(name: string): Promise<void>
  /** @throws AccountError not_found; invalid_request for a superuser. `what` is what was about to be done. */
  requireOrdinary(name: string, what: string): Promise<void>
  /** Organizations in the order in which they were made, after the id `after`. */
  organizations(options: PageOptions): Promise<OrganizationRow[]>
  /** Gives an organization, its repositories and its robots another name. @throws AccountError not_found, invalid_request */
  renameOrganization(name: string, newName: string): Promise<OrganizationRow>
  /** @throws AccountError not_found */
  removeOrganization(name: string): Promise<void>
  /**
   * Makes someone an admin of an organization; a user's namespace, or one that came by pushes without accounts, becomes one.
   * @throws AccountError not_found; invalid_request for the namespace of a superuser
   */
  takeOwnership(namespace: string, by: Account): Promise<void>
  /** The application-specific tokens of all users that are good, after the id `after`. */
  appTokens(options: { after: string; limit: number }): Promise<AnyAppTokenRow[]>
}

export interface PageOptions {
  /** 0 for the first page. */
  after: number
  limit: number
}

export interface ManagedUserWish {
  username: string
  email: string | undefined
  password?: string
  superuser?: boolean
}

export interface ManagedUser extends UserRow {
  power: Power
}

export interface UserAdministration {
  password?: string | undefined
  email?: string | undefined
  enabled?: boolean | undefined
  superuser?: boolean | undefined
}

/** Of a password that is made up. */
const passwordLength = 32

export function createSuperuser({ database, guard, passwords, changes }: AccountsOptions): Superuser {
  const managed = (row: UserRow): ManagedUser => ({ ...row, power: guard.powerOf(row) })

  async function find(name: string): Promise<ManagedUser> {
    const row = await findUser(database, name)
    if (row === undefined) throw notFound()
    return managed(row)
  }

  /** Ends a namespace of this kind. */
  function remove(name: string, kind: 'user' | 'organization'): Promise<void> {
    return changes.removing(repositoriesOf(name), () =>
      database.transaction(async tx => {
        const namespace = await lockNamespace(tx, name)
        if (namespace?.kind !== kind) throw notFound()
        await removeNamespace(tx, namespace.id)
      }),
    )
  }

  return {
    async users(options) {
      return (await userPage(database, options)).map(managed)
    },
    user: find,

    async createUser({ username, email, password = randomSecret(passwordLength), superuser = false }) {
      parseNewNamespaceName(username)
      checkPassword(password)
      if (email !== undefined) checkEmail(email)
      const passwordHash = await passwords.hash(password)
      await database.transaction(tx =>
        insertUser(tx, { username, email, passwordHash, superuser }, { takesOpen: true }),
      )
      return password
    },

    async changeUser(name, { password, email, enabled, superuser }) {
      const { id } = await find(name)
      if (email !== undefined) checkEmail(email)
      if (password !== undefined) checkPassword(password)
      const hash = password === undefined ? undefined : await passwords.hash(password)
      await database.transaction(async tx => {
        if (email !== undefined) await changeUser(tx, id, { email }).catch(rethrowEmailTaken)
        if (hash !== undefined) await setNewPassword(tx, id, hash)
        if (superuser !== undefined) await setSuperuser(tx, id, superuser)
        if (enabled !== undefined) await setUserEnabled(tx, id, enabled)
        if (enabled === false) await endLogins(tx, id)
      })
      return find(name)
    },

    removeUser: name => remove(name, 'user'),

    async requireOrdinary(name, what) {
      if ((await find(name)).power === 'superuser') throw invalid(`Cannot ${what} a superuser`)
    },

    organizations: options => organizationPage(database, options),

    async renameOrganization(name, newName) {
      parseNewNamespaceName(newName)
      if (name === unprefixed)
        throw invalid(`${name} can not be renamed: the names of its repositories do not begin with it`)
      await changes.removing(repositoriesOf(name), () =>
        database.transaction(async tx => {
          const namespace = await lockNamespace(tx, name)
          if (namespace?.kind !== 'organization') throw notFound()
          if (newName === name) return
          if (await isNamespaceTaken(tx, newName)) throw invalid('A user or organization with this name already exists')
          const longest = await longestRepositoryName(tx, namespace.id)
          if (longest !== undefined && !isRepositoryName(newName + longest.slice(name.length)))
            throw invalid(`The name is too long for the repository ${longest} of the organization`)
          await renameNamespace(tx, namespace, newName)
        }),
      )
      const row = await findOrganizationRow(database, newName)
      if (row === undefined) throw notFound()
      return row
    },

    removeOrganization: name => remove(name, 'organization'),

    appTokens: options => anyAppTokenPage(database, options),

    async takeOwnership(name, { id }) {
      await database.transaction(async tx => {
        const namespace = await lockNamespace(tx, name)
        if (namespace === undefined) throw notFound()
        if (namespace.kind === 'organization') {
          await addOrganizationAdmin(tx, namespace.id, id)
          return
        }
        const owner = namespace.kind === 'user' ? await findUser(tx, name) : undefined
        if (owner !== undefined && guard.powerOf(owner) === 'superuser')
          throw invalid('Cannot take ownership of a superuser')
        await turnIntoOrganization(tx, namespace.id, id)
      })
    },
  }
}
