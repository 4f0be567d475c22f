import { Type } from 'typebox'
import { invalid } from '../../accounts/errors.ts'

/** Paging by `limit` and `next_page`, which says after which row the next page begins and is no client's business. */

/** The largest page, whatever a client asks for, and the usual one. */
const most = 100
const usual = 50

/** Of the query string of a list that is paged through. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, description: `Rows in a page, ${most} at most; ${usual} when left out` }),
  ),
  next_page: Type.Optional(Type.String({ description: 'What the page before gave as next_page' })),
}

/** Of the answer: not there on the last page. */
export const nextPage = Type.Optional(Type.String())

export interface PageQuery {
  limit?: number
  next_page?: string
}

/**
 * What a query asks for: so many rows after the one with this id, whose kind is told by what the first page comes after.
 * @throws AccountError for a token that no page gave
 */
export function pageOf<Id extends string | number>(
  { limit = usual, next_page: token }: PageQuery,
  { first, isId }: { first: Id; isId: (value: unknown) => value is Id },
): { after: Id; limit: number } {
  const after = token === undefined ? first : opened(token)
  if (!isId(after)) throw invalid('next_page is not what a page gave')
  return { after, limit: Math.min(limit, most) }
}

/** For rows that are numbered. */
export const byNumber = {
  first: 0,
  isId: (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value),
}

/** For rows that are told by their names. */
export const byName = {
  first: '',
  isId: (value: unknown): value is string => typeof value === 'string' && !value.includes('\0'),
}

/** What says that a page goes on after this row; nothing when it is undefined. */
export function nextAfter(id: string | number | undefined): { next_page?: string } {
  return id === undefined ? {} : { next_page: Buffer.from(JSON.stringify(id)).toString('base64url') }
}

function opened(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

/**
 * Parts what was asked for with one row more than the page has.
 * @returns the rows of the page, and what its answer says of the next
 */
export function pageFrom<Row extends { id: string | number }>(
  rows: readonly Row[],
  { limit }: { limit: number },
): { rows: readonly Row[]; next: { next_page?: string } } {
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  return { rows: page, next: nextAfter(rows.length > limit ? last?.id : undefined) }
}
