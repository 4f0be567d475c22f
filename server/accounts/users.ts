import type { Account } from '../access/actor.ts'
import type { BasicCredentials } from '../access/basic.ts'
import {
  changeUser,
  createUser,
  findUser,
  findUserByEmail,
  findUserById,
  hasUsers,
  lockUserTable,
  type MembershipRow,
  membershipsOf,
  solelyAdminedBy,
  type UserChanges,
  type UserRow,
} from '../metadata/accounts.ts'
import { findCredentials } from '../metadata/credentials.ts'
import type { Queryable } from '../metadata/database.ts'
import { lockNamespace, removeNamespace, turnIntoOrganization } from '../metadata/namespaces.ts'
import { RegistryError } from '../oci/errors.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkEmail, checkPassword, parseNewNamespaceName, repositoriesOf } from './names.ts'
import { setNewPassword } from './new-password.ts'
import { issueOwnToken } from './own-tokens.ts'

export type User = UserRow

export interface Users {
  /** @throws AccountError not_found */
  get(id: number): Promise<User>
  /** @throws AccountError not_found */
  find(name: string): Promise<User>
  /** The organizations of someone, by name. */
  memberships(account: Account): Promise<MembershipRow[]>
  /**
   * The account of a user, by name or e-mail address, who has shown the password itself: not a token, nor the encrypted form
   * that stands in files of clients. @throws RegistryError UNAUTHORIZED, TOOMANYREQUESTS
   */
  signIn(credentials: BasicCredentials, address: string): Promise<Account>
  /** @throws AccountError invalid_request for a name, an e-mail address or a password that can't be taken */
  create(wish: NewUserWish): Promise<Account>
  /**
   * Makes the first user of all, who may be a superuser by the configuration alone.
   * @throws AccountError not_found where the settings do not let one; when there are users already; or as `create`
   */
  initialize(wish: NewUserWish & { wantsToken: boolean }): Promise<Initialized>
  /** A new password ends all sessions and refresh tokens. @throws AccountError invalid_request as `create` */
  change(account: Account, changes: UserWish): Promise<void>
  /**
   * Ends a user with the user's repositories, robots and tokens.
   * @throws AccountError invalid_request for the only admin of an organization, and for one whom the configuration names
   */
  remove(account: Account): Promise<void>
  /**
   * Makes an organization of a user, with another one, who shows the password, as its admin; whoever logged in as the user
   * no longer can. @returns the admin @throws AccountError invalid_request; RegistryError TOOMANYREQUESTS
   */
  convert(account: Account, admin: BasicCredentials, address: string): Promise<Account>
  /** The password in the form that a client may keep in a file. */
  encryptPassword(password: string): string
  /** The same of someone who shows it again. @throws AccountError invalid_request when it is wrong; RegistryError TOOMANYREQUESTS */
  clientKey(account: Account, password: string, address: string): Promise<string>
}

export interface NewUserWish {
  username: string
  password: string
  email: string | undefined
}

export interface UserWish extends UserChanges {
  password?: string | undefined
}

export interface Initialized {
  account: Account
  email: string
  encryptedPassword: string
  accessToken: string | undefined
}

/** As in Quay. */
const tokenYears = 10

export function createUsers(options: AccountsOptions): Users {
  const { database, changes, guard, passwords, encryptedPasswords, secrets, settings } = options

  async function accountOf(db: Queryable, name: string): Promise<Account> {
    const row = await findCredentials(db, name, undefined)
    if (row === undefined) throw notFound()
    return guard.accountOf(row, { scopes: 'all' })
  }

  async function checked(wish: NewUserWish): Promise<string> {
    parseNewNamespaceName(wish.username)
    if (wish.email !== undefined) checkEmail(wish.email)
    checkPassword(wish.password)
    return passwords.hash(wish.password)
  }

  /** A token that may do everything that the user may. */
  function issueFirstToken(db: Queryable, user: Account): Promise<string> {
    const expiresAt = new Date()
    expiresAt.setUTCFullYear(expiresAt.getUTCFullYear() + tokenYears)
    return issueOwnToken(db, { user, name: 'automation', expiresAt, secrets })
  }

  const signIn: Users['signIn'] = async ({ name, secret }, address) => {
    const found = name.includes('@') ? await findUserByEmail(database, name) : undefined
    const account = await guard.login({ name: found?.name ?? name, secret }, { address })
    // Tokens and robots have names that no user has. Who has read the encrypted form in a file must not come as far as here.
    const isUser = !account.robot && account.name === (found?.name ?? name)
    if (!isUser || encryptedPasswords.open(secret) !== undefined) throw new RegistryError('UNAUTHORIZED')
    return account
  }

  /** The account of a user who shows the password in the course of something else. @throws AccountError with the message */
  const signInFor = (message: string, credentials: BasicCredentials, address: string): Promise<Account> =>
    signIn(credentials, address).catch((error: unknown) => {
      throw error instanceof RegistryError && error.code === 'UNAUTHORIZED' ? invalid(message) : error
    })

  return {
    async get(id) {
      const row = await findUserById(database, id)
      if (row === undefined) throw notFound()
      return row
    },

    async find(name) {
      const row = await findUser(database, name)
      if (row === undefined) throw notFound()
      return row
    },

    memberships: ({ id }) => membershipsOf(database, id),
    signIn,

    async create(wish) {
      const hash = await checked(wish)
      return database.transaction(async tx => {
        await insertUser(tx, { ...wish, passwordHash: hash })
        return accountOf(tx, wish.username)
      })
    },

    async initialize({ wantsToken, ...wish }) {
      if (!settings.initialize) throw notFound()
      if (await hasUsers(database)) throw notEmpty()
      const hash = await checked(wish).catch((error: unknown) => {
        throw error instanceof AccountError ? invalid(`Failed to initialize user: ${error.message}`) : error
      })
      return database.transaction(async tx => {
        // Two first users at once: the second finds the first.
        await lockUserTable(tx)
        if (await hasUsers(tx)) throw notEmpty()
        await insertUser(tx, { ...wish, passwordHash: hash })
        const account = await accountOf(tx, wish.username)
        return {
          account,
          email: wish.email ?? '',
          encryptedPassword: encryptedPasswords.seal(wish.password),
          accessToken: wantsToken ? await issueFirstToken(tx, account) : undefined,
        }
      })
    },

    async change({ id }, { password, ...rest }) {
      if (rest.email !== undefined) checkEmail(rest.email)
      if (password !== undefined) checkPassword(password)
      const hash = password === undefined ? undefined : await passwords.hash(password)
      await database.transaction(async tx => {
        await changeUser(tx, id, rest).catch(rethrowEmailTaken)
        if (hash !== undefined) await setNewPassword(tx, id, hash)
      })
    },

    async remove(account) {
      const { name, namespaceId } = account
      if (guard.powerOf({ name, superuser: false }) !== 'none')
        throw invalid(
          `Cannot delete ${name}, whom the configuration names: whoever took the name next would have its power. Take it out of auth.accounts first`,
        )
      await changes.removing(repositoriesOf(name), () =>
        database.transaction(async tx => {
          await lockNamespace(tx, name)
          await requireOtherAdmins(tx, account, 'delete')
          await removeNamespace(tx, namespaceId)
        }),
      )
    },

    async convert(account, credentials, address) {
      const admin = await signInFor('The admin user credentials are not valid', credentials, address)
      if (admin.id === account.id) throw invalid('The admin user is not valid')
      await database.transaction(async tx => {
        await lockNamespace(tx, account.name)
        await requireOtherAdmins(tx, account, 'convert')
        await turnIntoOrganization(tx, account.namespaceId, admin.id)
      })
      return admin
    },

    encryptPassword: password => encryptedPasswords.seal(password),

    async clientKey({ name }, password, address) {
      await signInFor('Invalid Username or Password', { name, secret: password }, address)
      return encryptedPasswords.seal(password)
    },
  }
}

/** @throws AccountError while an organization would be left without anyone who administers it */
async function requireOtherAdmins(tx: Queryable, { id, name }: Account, what: string): Promise<void> {
  const organizations = await solelyAdminedBy(tx, id)
  if (organizations.length > 0)
    throw invalid(`Cannot ${what} ${name} as you are the only admin for organizations: ${organizations.join(', ')}`)
}

interface CheckedUser {
  username: string
  email: string | undefined
  /** bcrypt */
  passwordHash: string
  superuser?: boolean
}

/**
 * Writes down a user whose name, address and password were found good.
 * @param options whether the user may get a namespace that came by pushes without accounts
 * @throws AccountError when the name or the address is taken
 */
export async function insertUser(db: Queryable, user: CheckedUser, { takesOpen = false } = {}): Promise<void> {
  const { username, email, passwordHash, superuser = false } = user
  if (email !== undefined && (await findUserByEmail(db, email)) !== undefined) throw emailTaken()
  const row = { name: username, passwordHash, email: email ?? null, verified: true, superuser }
  const made = await createUser(db, row, { takesOpen }).catch(rethrowEmailTaken)
  if (made === undefined) throw invalid('The username already exists')
}

function notEmpty(): Error {
  return invalid('Cannot initialize user in a non-empty database')
}

function emailTaken(): AccountError {
  return invalid('E-mail address already used')
}

/** For who comes at the same moment as another with the same address: only the index tells. */
export function rethrowEmailTaken(error: unknown): never {
  const taken = error instanceof Error && 'constraint' in error && error.constraint === 'users_by_email'
  throw taken ? emailTaken() : error
}
