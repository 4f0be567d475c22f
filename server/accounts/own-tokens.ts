import { type Scope, scopes as allScopes } from '../access/actor.ts'
import { hashOf, randomSecret, type Secrets } from '../access/secrets.ts'
import { findUser } from '../metadata/accounts.ts'
import { insertAppToken, mostAppTokens } from '../metadata/app-tokens.ts'
import { findApplicationNamed, insertApplication, insertOAuthToken } from '../metadata/applications.ts'
import type { Queryable } from '../metadata/database.ts'
import { invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'

/** Tokens that are made for a user without asking: by the command line, and with the first user of all. */
export interface OwnTokens {
  /** An OAuth token that acts as the user. @returns the token @throws AccountError not_found, invalid_request */
  createOAuthToken(user: string, wish: { name: string; scopes: readonly Scope[]; expiresAt: Date }): Promise<string>
  /** An application-specific token, for `$app`. @returns the token @throws AccountError not_found, invalid_request */
  createAppToken(user: string, wish: { title: string; expiresAt: Date | undefined }): Promise<string>
}

/** The application of a user that such tokens are of. */
const applicationName = 'automation'
/** As in Quay. */
const tokenLength = 40
const clientIdLength = 20
const appTokenLength = 64

export function createOwnTokens({ database, secrets }: AccountsOptions): OwnTokens {
  async function find(name: string): Promise<{ id: number; namespaceId: number }> {
    const user = await findUser(database, name)
    if (user === undefined) throw notFound()
    return { id: user.id, namespaceId: user.namespace_id }
  }

  return {
    async createOAuthToken(name, wish) {
      checkTitle(wish.name)
      const user = await find(name)
      return database.transaction(tx => issueOwnToken(tx, { ...wish, user, secrets }))
    },

    async createAppToken(name, { title, expiresAt }) {
      checkTitle(title)
      const { id } = await find(name)
      const token = randomSecret(appTokenLength)
      const sealed = secrets.encrypt(token)
      const made = await insertAppToken(database, { account: id, title, hash: hashOf(token), token: sealed, expiresAt })
      if (made === undefined) throw invalid(`A user can have ${mostAppTokens} application tokens`)
      return token
    },
  }
}

export interface OwnTokenWish {
  user: { id: number; namespaceId: number }
  name: string
  scopes?: readonly Scope[]
  expiresAt: Date
  secrets: Secrets
}

/** Makes a token of an application of the user's own, and the application if there is none. With every scope unless some are given. */
export async function issueOwnToken(db: Queryable, wish: OwnTokenWish): Promise<string> {
  const { user, name, scopes = allScopes, expiresAt, secrets } = wish
  const token = randomSecret(tokenLength)
  const applicationId = (await findApplicationNamed(db, user.namespaceId, applicationName)) ?? (await makeApplication())
  await insertOAuthToken(db, {
    applicationId,
    account: user.id,
    name,
    hash: hashOf(token),
    scopes,
    createdBy: user.id,
    expiresAt,
  })
  return token

  async function makeApplication(): Promise<string> {
    const clientId = randomSecret(clientIdLength)
    await insertApplication(db, {
      clientId,
      namespaceId: user.namespaceId,
      name: applicationName,
      clientSecret: secrets.encrypt(randomSecret(tokenLength)),
      description: 'Tokens that were made for this user by whoever runs the registry',
    })
    return clientId
  }
}

function checkTitle(text: string): void {
  if (text.trim() === '' || text.length > 255 || text.includes('\0'))
    throw invalid('A token has a name of 1 to 255 characters')
}
