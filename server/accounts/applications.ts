import { type Account, type Scope, scopes as allScopes } from '../access/actor.ts'
import { hasScope } from '../access/may.ts'
import { parseScopes } from '../access/scopes.ts'
import { hashOf, randomSecret } from '../access/secrets.ts'
import {
  type ApplicationFields,
  type ApplicationRow,
  changeApplication,
  changeApplicationSecret,
  createApplication,
  findApplication,
  findApplicationOf,
  insertOAuthToken,
  listApplications,
  listOAuthTokens,
  mostApplications,
  type OAuthTokenRow,
  removeApplication,
  removeOAuthToken,
} from '../metadata/applications.ts'
import { AccountError, invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { checkEmail } from './names.ts'
import { isUuid } from './uuid.ts'

/** An OAuth application, with its secret as text. */
export interface Application extends Omit<ApplicationRow, 'client_secret'> {
  clientSecret: string
}

export type OAuthToken = OAuthTokenRow

export type { ApplicationFields }

/** OAuth applications of organizations, and the tokens that their admins give out. */
export interface Applications {
  /** Those of an organization, by name. */
  list(organization: string): Promise<Application[]>
  /** @throws AccountError invalid_request, not_found for an organization that is none */
  create(organization: string, fields: ApplicationFields): Promise<Application>
  /** @throws AccountError not_found */
  get(organization: string, clientId: string): Promise<Application>
  /** @throws AccountError invalid_request, not_found */
  change(organization: string, clientId: string, fields: ApplicationFields): Promise<Application>
  /** Gives it another secret; the old one is good for nothing then. @throws AccountError not_found */
  resetSecret(organization: string, clientId: string): Promise<Application>
  /** Removes it with all its tokens. @throws AccountError not_found */
  remove(organization: string, clientId: string): Promise<void>
  /** What everyone may know of an application. @throws AccountError not_found */
  find(clientId: string): Promise<Application>
  /** Tokens that are good, the newest first. @param after the id of the last one of the page before */
  listTokens(place: ApplicationPlace, page: { after: string | undefined; limit: number }): Promise<OAuthToken[]>
  /**
   * A token that acts as the one who makes it, within scopes that they have themselves.
   * @returns with the secret, which can't be had again
   * @throws AccountError invalid_request, not_found; insufficient_scope for scopes beyond one's own
   */
  createToken(place: ApplicationPlace, wish: TokenWish, by: Account): Promise<OAuthToken & { secret: string }>
  /** @throws AccountError not_found */
  removeToken(place: ApplicationPlace, id: string): Promise<void>
}

export interface ApplicationPlace {
  organization: string
  clientId: string
}

export interface TokenWish {
  name: string
  /** Several with spaces or commas between them. */
  scope: string
  /** Seconds; ten years when undefined. */
  lifetime: number | undefined
}

/** Seconds: ten years, the most that a token is good for. */
export const longestLifetime = Math.floor(10 * 365.25 * 24 * 3600)
/** Of an access token and a client's secret, as in Quay. */
const secretLength = 40
const clientIdLength = 20
const longestText = 10_000

export function createApplications({ database, secrets }: AccountsOptions): Applications {
  function opened(row: ApplicationRow | undefined): Application {
    if (row === undefined) throw notFound()
    const { client_secret: sealed, ...rest } = row
    return { ...rest, clientSecret: secrets.decrypt(sealed) }
  }

  async function clientIdOf({ organization, clientId }: ApplicationPlace): Promise<string> {
    const row = await findApplicationOf(database, organization, clientId)
    if (row === undefined) throw notFound()
    return row.client_id
  }

  return {
    list: async organization => (await listApplications(database, organization)).map(opened),

    async create(organization, fields) {
      check(fields)
      const made = await createApplication(database, organization, {
        ...fields,
        clientId: randomSecret(clientIdLength),
        clientSecret: secrets.encrypt(randomSecret(secretLength)),
      })
      if (made === undefined) throw invalid(`An organization can have ${mostApplications} applications`)
      return opened(made)
    },

    get: async (organization, clientId) => opened(await findApplicationOf(database, organization, clientId)),

    async change(organization, clientId, fields) {
      check(fields)
      return opened(await changeApplication(database, organization, { ...fields, clientId }))
    },

    async resetSecret(organization, clientId) {
      const clientSecret = secrets.encrypt(randomSecret(secretLength))
      return opened(await changeApplicationSecret(database, organization, { clientId, clientSecret }))
    },

    async remove(organization, clientId) {
      if (!(await removeApplication(database, organization, clientId))) throw notFound()
    },

    find: async clientId => opened(await findApplication(database, clientId)),

    async listTokens(place, { after, limit }) {
      if (after !== undefined && !isUuid(after)) throw invalid('next_page is not one that was given')
      return listOAuthTokens(database, await clientIdOf(place), { after, limit })
    },

    async createToken(place, { name, scope, lifetime = longestLifetime }, by) {
      const title = name.trim()
      if (title === '' || title.length > 255) throw invalid("'name' must have 1 to 255 characters")
      if (!(lifetime > 0)) throw invalid("'expiration' must be a positive number of seconds")
      const scopes = parseScopes(scope)
      if (scopes === undefined || scopes.length === 0) throw invalid(`Invalid scope: ${scope.slice(0, 300)}`)
      checkScopes(scopes, by)
      const applicationId = await clientIdOf(place)
      const secret = randomSecret(secretLength)
      const token = await insertOAuthToken(database, {
        applicationId,
        account: by.id,
        name: title,
        hash: hashOf(secret),
        scopes: inOrder(scopes),
        createdBy: by.id,
        expiresAt: new Date(Date.now() + Math.min(Math.max(lifetime, 1), longestLifetime) * 1000),
      })
      return { ...token, secret }
    },

    async removeToken(place, id) {
      if (!isUuid(id) || !(await removeOAuthToken(database, await clientIdOf(place), id))) throw notFound()
    },
  }
}

/** @throws AccountError for scopes that someone does not have: a token is no way to more power than one has */
export function checkScopes(scopes: readonly Scope[], by: Account): void {
  const beyond = scopes.find(scope => !hasScope(by, scope) || (scope === 'super:user' && by.power !== 'superuser'))
  if (beyond !== undefined) throw new AccountError('insufficient_scope', `${beyond} is more than you have yourself`)
}

/** Each once, in the order of the table. */
export function inOrder(scopes: readonly Scope[]): Scope[] {
  return allScopes.filter(scope => scopes.includes(scope))
}

function check({ name, redirectUri, applicationUri, description, avatarEmail }: ApplicationFields): void {
  if (name.trim() === '' || name.length > 255) throw invalid("'name' must have 1 to 255 characters")
  const texts = [redirectUri, applicationUri, description]
  if ([name, ...texts].some(text => text.includes('\0'))) throw invalid('A text must not have a NUL in it')
  if (texts.some(text => text.length > longestText)) throw invalid(`A text can have ${longestText} characters`)
  // Where it is shown it is a link: what a browser would run, instead of going there, is none.
  if (applicationUri !== '' && !isWebUrl(applicationUri))
    throw invalid("'application_uri' must be an http or https URL")
  if (redirectUri !== '' && !isRedirectUri(redirectUri))
    throw invalid("'redirect_uri' must be a URL without a fragment")
  if (avatarEmail !== null && avatarEmail !== '') checkEmail(avatarEmail)
}

function isWebUrl(text: string): boolean {
  return ['http:', 'https:'].includes(protocolOf(text) ?? '')
}

/** RFC 6749, section 3.1.2: absolute, without a fragment. Programs on a desk have schemes of their own (RFC 8252). */
function isRedirectUri(text: string): boolean {
  const protocol = protocolOf(text)
  return protocol !== undefined && !text.includes('#') && !['javascript:', 'data:', 'vbscript:'].includes(protocol)
}

function protocolOf(text: string): string | undefined {
  return URL.canParse(text) ? new URL(text).protocol : undefined
}
