import { hashOf, randomSecret } from '../access/secrets.ts'
import {
  type AppTokenRow,
  findAppToken,
  insertAppToken,
  listAppTokens,
  mostAppTokens,
  removeAppToken,
} from '../metadata/app-tokens.ts'
import { invalid, notFound } from './errors.ts'
import type { AccountsOptions } from './options.ts'
import { isUuid } from './uuid.ts'

/** An application-specific token, without what it is shown by. */
export type AppToken = Omit<AppTokenRow, 'token'>

/** Tokens that users make to log in with by `$app` in place of their password. */
export interface AppTokens {
  /** Those that are good. With `expiring`, those that soon will not be. */
  list(account: number, options: { expiring: boolean }): Promise<AppToken[]>
  /** @throws AccountError invalid_request for a title that is none, or when there are too many */
  create(account: number, title: string): Promise<AppToken & { code: string }>
  /** With what it is shown by. @throws AccountError not_found */
  get(account: number, id: string): Promise<AppToken & { code: string }>
  /** @throws AccountError not_found */
  remove(account: number, id: string): Promise<void>
}

const codeLength = 64
/** What ends within a tenth of its life, or of four weeks where tokens have no end of their own, ends soon (as in Quay). */
const soonOfMs = 4 * 7 * 24 * 3600_000

export function createAppTokens({ database, secrets, settings }: AccountsOptions): AppTokens {
  const { appTokenMs } = settings

  function opened({ token, ...rest }: AppTokenRow): AppToken & { code: string } {
    return { ...rest, code: secrets.decrypt(token) }
  }

  return {
    async list(account, { expiring }) {
      const soon = expiring ? new Date(Date.now() + (appTokenMs ?? soonOfMs) / 10) : undefined
      const rows = await listAppTokens(database, account, soon)
      return rows.map(({ token: _token, ...rest }) => rest)
    },

    async create(account, title) {
      const text = title.trim()
      if (text === '' || text.length > 255 || text.includes('\0'))
        throw invalid("'title' must have 1 to 255 characters")
      const code = randomSecret(codeLength)
      const made = await insertAppToken(database, {
        account,
        title: text,
        hash: hashOf(code),
        token: secrets.encrypt(code),
        expiresAt: appTokenMs === undefined ? undefined : new Date(Date.now() + appTokenMs),
      })
      if (made === undefined) throw invalid(`A user can have ${mostAppTokens} application tokens`)
      return opened(made)
    },

    async get(account, id) {
      const row = isUuid(id) ? await findAppToken(database, account, id) : undefined
      if (row === undefined) throw notFound()
      return opened(row)
    },

    async remove(account, id) {
      if (!isUuid(id) || !(await removeAppToken(database, account, id))) throw notFound()
    },
  }
}
