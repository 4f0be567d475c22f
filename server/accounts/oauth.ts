import type { Account, Scope } from '../access/actor.ts'
import { parseScopes } from '../access/scopes.ts'
import { hashOf, isSame, randomSecret } from '../access/secrets.ts'
import { type ApplicationRow, findApplication, insertOAuthToken } from '../metadata/applications.ts'
import {
  type AuthorizationRow,
  findAuthorization,
  insertOAuthCode,
  listAuthorizations,
  removeAuthorization,
  takeOAuthCode,
} from '../metadata/oauth.ts'
import { findOrganizationRights } from '../metadata/organizations.ts'
import { checkScopes, inOrder, longestLifetime } from './applications.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isUuid } from './uuid.ts'

/** What an application asks of a user (RFC 6749, sections 4.1.1 and 4.2.1). */
export interface Consent {
  application: Omit<ApplicationRow, 'client_secret'>
  scopes: Scope[]
  responseType: ResponseType
  redirectUri: string
}

export type ResponseType = 'code' | 'token'

export interface ConsentWish {
  clientId: string
  redirectUri: string
  responseType: string
  scope: string
  /** The address of the page of this registry that shows a token to its user: an application need not register it. */
  ownPage: string
}

/** What the application gets when the user says yes. */
export type Consented =
  | { kind: 'code'; code: string }
  | { kind: 'token'; token: string; /** Seconds. */ expiresIn: number }

export type Authorization = AuthorizationRow

/** Berth as an OAuth 2.0 provider for the applications of organizations. */
export interface OAuth {
  /**
   * What a user is asked. As in Quay, none but the admins of the application's organization can consent.
   * @throws AccountError not_found for an unknown application; insufficient_scope for users who can't consent, or for
   *   scopes beyond their own; invalid_request for an address that is not the application's, or an unknown scope
   */
  ask(wish: ConsentWish, user: Account): Promise<Consent>
  /** The user says yes. @throws AccountError as `ask` */
  consent(wish: ConsentWish, user: Account): Promise<Consented>
  /** A token for a code. @returns the error of RFC 6749, section 5.2, where there is none */
  redeem(wish: RedeemWish): Promise<{ token: string; expiresIn: number } | 'invalid_client' | 'invalid_grant'>
  /** The tokens that act as a user, the newest first. */
  authorizations(user: Account): Promise<Authorization[]>
  /** @throws AccountError not_found */
  authorization(user: Account, id: string): Promise<Authorization>
  /** @throws AccountError not_found */
  revoke(user: Account, id: string): Promise<void>
}

export interface RedeemWish {
  clientId: string
  clientSecret: string
  code: string
  redirectUri: string
}

const secretLength = 40
const codeLength = 40
/** An application redeems a code at once. */
const codeSeconds = 60
const mostAuthorizations = 500

export function createOAuth({ database, secrets }: AccountsOptions): OAuth {
  async function ask(wish: ConsentWish, user: Account): Promise<Consent> {
    const application = await findApplication(database, wish.clientId)
    if (application === undefined) throw notFound()
    if (!(await owns(application, user))) throw new AccountError('insufficient_scope', 'Unauthorized')
    const { redirectUri, responseType } = wish
    // The whole of it, letter by letter (RFC 9700, section 2.1): what is only like it may be someone else's.
    const known = redirectUri !== '' && [application.redirect_uri, wish.ownPage].includes(redirectUri)
    if (!known) throw invalid('redirect_uri is not the one that the application has registered')
    if (responseType !== 'code' && responseType !== 'token') throw invalid('response_type must be code or token')
    const scopes = parseScopes(wish.scope)
    if (scopes === undefined || scopes.length === 0) throw invalid(`Invalid scope: ${wish.scope.slice(0, 300)}`)
    checkScopes(scopes, user)
    const { client_secret: _secret, ...shown } = application
    return { application: shown, scopes: inOrder(scopes), responseType, redirectUri }
  }

  async function owns({ namespace, namespace_kind, namespace_id }: ApplicationRow, user: Account): Promise<boolean> {
    if (namespace_kind === 'user') return namespace_id === user.namespaceId && !user.robot
    return (await findOrganizationRights(database, namespace, user.id))?.is_admin === true
  }

  async function issue(applicationId: string, account: number, scopes: readonly string[]) {
    const token = randomSecret(secretLength)
    await insertOAuthToken(database, {
      applicationId,
      account,
      name: '',
      hash: hashOf(token),
      scopes,
      createdBy: account,
      expiresAt: new Date(Date.now() + longestLifetime * 1000),
    })
    return { token, expiresIn: longestLifetime }
  }

  return {
    ask,

    async consent(wish, user) {
      const { application, scopes, responseType, redirectUri } = await ask(wish, user)
      if (responseType === 'token') return { kind: 'token', ...(await issue(application.client_id, user.id, scopes)) }
      const code = randomSecret(codeLength)
      await insertOAuthCode(database, {
        hash: hashOf(code),
        applicationId: application.client_id,
        account: user.id,
        redirectUri,
        scopes,
        lifetimeSeconds: codeSeconds,
      })
      return { kind: 'code', code }
    },

    async redeem({ clientId, clientSecret, code, redirectUri }) {
      if ([clientId, redirectUri].some(text => text.includes('\0'))) return 'invalid_client'
      const application = await findApplication(database, clientId)
      if (application === undefined) return 'invalid_client'
      if (!isSame(secrets.decrypt(application.client_secret), clientSecret)) return 'invalid_client'
      const taken = await takeOAuthCode(database, { hash: hashOf(code), applicationId: clientId, redirectUri })
      return taken === undefined ? 'invalid_grant' : issue(clientId, taken.account_id, taken.scopes)
    },

    authorizations: user => listAuthorizations(database, user.id, mostAuthorizations),

    async authorization(user, id) {
      const found = isUuid(id) ? await findAuthorization(database, user.id, id) : undefined
      if (found === undefined) throw notFound()
      return found
    },

    async revoke(user, id) {
      if (!isUuid(id) || !(await removeAuthorization(database, user.id, id))) throw notFound()
    },
  }
}
