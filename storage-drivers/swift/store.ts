import type { Readable } from 'node:stream'
import pLimit from 'p-limit'
import { type ByteRange, OutOfSpace, UploadLost } from '../driver.ts'
import type { Account, AccountRequest } from './account.ts'
import { UnwantedAnswer } from './answers.ts'
import { at, listAt, numberAt, parse, textAt } from './json.ts'

/** The requests to Swift that the driver makes, on names below its folder in the container. */
export interface SwiftStore {
  /** @returns the ETag, or '' where none was told. @throws OutOfSpace */
  put(name: string, body: Uint8Array, options?: PutOptions): Promise<string>
  /**
   * Makes a static large object of what its manifest names.
   * @throws OutOfSpace; UnwantedAnswer where that is not there; UploadLost where there is another object already
   */
  join(name: string, manifest: readonly ManifestEntry[]): Promise<void>
  /** The range, or what there is of it. @throws UnwantedAnswer: 404, or 416 where there is nothing of the range */
  get(name: string, range: ByteRange, options?: Haste): Promise<Readable>
  /** Undefined where there is no such object. */
  head(name: string): Promise<ObjectHead | undefined>
  /** Gives an object a mark, which its head shows. @returns false where there is no such object */
  mark(name: string): Promise<boolean>
  /** Removes objects; of a large one its manifest alone. */
  delete(names: readonly string[]): Promise<void>
  /** Removes a large object and what its manifest names. */
  deleteWithManifest(name: string): Promise<void>
  /** Objects below a folder. Not for a request's way: lists are slow, and may be late. */
  list(folder: string): AsyncIterable<ListedObject>
  /** Behind the URL of the account, as it stands in a URL. */
  pathOf(name: string): string
}

/** Where other limits of time than the usual ones are wanted. */
type Haste = Pick<AccountRequest, 'patienceMs' | 'answerMs'>

export interface PutOptions extends Haste {
  /** Seconds after which Swift removes the object by itself. */
  deleteAfter?: number
}

export interface ManifestEntry {
  name: string
  /** Without one, or with '', Swift takes what stands there. */
  etag?: string
  size: number
}

export interface ObjectHead {
  size: number
  marked: boolean
}

export interface ListedObject {
  name: string
  size: number
  modified: Date
}

export interface StoreOptions {
  account: Account
  container: string
  prefix: string
  /** How many objects one request may delete; 0 where there are no such requests. */
  deletesAtOnce: number
}

const markHeader = 'x-object-meta-berth-dropped'
/** Requests for deletion that are on their way at a time, where each is for one object. */
const deletions = 8
/** To remove the segments of a large object, one after another, takes its time. */
const deletionMs = 10 * 60_000
/** Swift looks at each segment before it answers. */
const joinMsOfSegment = 200

export function createStore({ account, container, prefix, deletesAtOnce }: StoreOptions): SwiftStore {
  const root = prefix.replaceAll(/^\/+|\/+$/g, '')
  const full = (name: string) => `${container}/${root === '' ? '' : `${root}/`}${name}`
  const pathOf = (name: string) => `/${full(name).split('/').map(encodeURIComponent).join('/')}`
  const own = pLimit(deletions)

  async function deleteOne(name: string): Promise<void> {
    await account.tell({ method: 'DELETE', path: pathOf(name) }, [200, 202, 204, 404])
  }

  /** @returns the names that have to be deleted in another way */
  async function deleteSome(names: readonly string[]): Promise<readonly string[]> {
    const answer = await account.ask(
      {
        method: 'POST',
        path: '?bulk-delete',
        headers: { 'content-type': 'text/plain', accept: 'application/json' },
        body: names.map(name => pathOf(name).slice(1)).join('\n'),
        answerMs: deletionMs,
      },
      [200],
    )
    // The status was sent before the work began: what came of it is in the body.
    return succeeded(parse(await answer.text())) ? [] : names
  }

  async function remove(names: readonly string[]): Promise<void> {
    const single: string[] = []
    if (deletesAtOnce < 2 || names.length < 2) single.push(...names)
    else {
      for (let from = 0; from < names.length; from += deletesAtOnce) {
        single.push(...(await deleteSome(names.slice(from, from + deletesAtOnce))))
      }
    }
    await Promise.all(single.map(name => own(() => deleteOne(name))))
  }

  /** Whether an object is the large one whose manifest names just these. */
  async function isManifest(name: string, entries: readonly { path: string }[]): Promise<boolean> {
    const answer = await account.ask({ method: 'GET', path: `${pathOf(name)}?multipart-manifest=get` }, [200, 404])
    const there = listAt(parse(await answer.text())).map(one => textAt(one, 'name'))
    return JSON.stringify(there) === JSON.stringify(entries.map(({ path }) => path))
  }

  return {
    pathOf,

    async put(name, body, { deleteAfter, ...haste } = {}) {
      const answer = await account
        .tell(
          {
            method: 'PUT',
            path: pathOf(name),
            body,
            headers: {
              'content-type': 'application/octet-stream',
              ...(deleteAfter === undefined ? {} : { 'x-delete-after': String(deleteAfter) }),
            },
            ...haste,
          },
          // Accepted: a request that was repeated through a proxy whose clock is behind.
          [201, 202],
        )
        .catch(rethrowFull)
      return (answer.header('etag') ?? '').replaceAll('"', '')
    },

    async join(name, manifest) {
      const entries = manifest.map(({ name, etag = '', size }) => ({
        path: `/${full(name)}`,
        size_bytes: size,
        ...(etag === '' ? {} : { etag }),
      }))
      const { status } = await account
        .tell(
          {
            method: 'PUT',
            path: `${pathOf(name)}?multipart-manifest=put`,
            body: JSON.stringify(entries),
            // radosgw does not heed it.
            headers: { 'content-type': 'application/octet-stream', 'if-none-match': '*' },
            answerMs: 60_000 + manifest.length * joinMsOfSegment,
          },
          [201, 412],
        )
        .catch(rethrowFull)
      // What stands there may be of this very request, whose answer was lost.
      if (status === 412 && !(await isManifest(name, entries))) throw new UploadLost()
    },

    async get(name, { first, last }, haste) {
      const headers = { range: `bytes=${first}-${last}` }
      const answer = await account.ask({ method: 'GET', path: pathOf(name), headers, ...haste }, [200, 206])
      // Whoever does not know ranges sends everything.
      if (answer.status === 206 || first === 0) return answer.body
      answer.body.destroy()
      throw new Error(`Swift was asked for ${pathOf(name)} from byte ${first} on, and sent it from its beginning`)
    },

    async head(name) {
      const answer = await account.tell({ method: 'HEAD', path: pathOf(name) }, [200, 204, 404])
      if (answer.status === 404) return undefined
      return { size: Number(answer.header('content-length') ?? 0), marked: answer.header(markHeader) !== undefined }
    },

    async mark(name) {
      const headers = { [markHeader]: '1' }
      const { status } = await account.tell({ method: 'POST', path: pathOf(name), headers }, [200, 202, 204, 404])
      return status !== 404
    },

    delete: remove,

    async deleteWithManifest(name) {
      const answer = await account.ask(
        {
          method: 'DELETE',
          path: `${pathOf(name)}?multipart-manifest=delete`,
          headers: { accept: 'application/json' },
          answerMs: deletionMs,
        },
        [200, 404],
      )
      const text = await answer.text()
      if (answer.status === 404 || succeeded(parse(text))) return
      throw new Error(`${pathOf(name)} was not deleted with its segments: ${text.trim().slice(0, 500)}`)
    },

    async *list(folder) {
      const cut = full('').length - container.length - 1
      const query = `format=json&prefix=${encodeURIComponent(full(folder).slice(container.length + 1))}`
      for (let marker = ''; ;) {
        const path = `/${encodeURIComponent(container)}?${query}&marker=${encodeURIComponent(marker)}`
        const answer = await account.ask({ method: 'GET', path, headers: { accept: 'application/json' } }, [200, 204])
        const page = listAt(parse(await answer.text()))
        if (page.length === 0) return
        for (const one of page) {
          const name = textAt(one, 'name') ?? ''
          marker = name
          yield {
            name: name.slice(cut),
            size: numberAt(one, 'bytes') ?? 0,
            modified: dateOf(textAt(one, 'last_modified')),
          }
        }
      }
    },
  }
}

/** What the body of an answer to a deletion of several tells; that something was not there is a success. */
function succeeded(body: unknown): boolean {
  const status = textAt(body, 'Response Status') ?? ''
  const gone = status.startsWith('404') && (numberAt(body, 'Number Not Found') ?? 0) > 0
  return (status.startsWith('200') || gone) && listAt(body, 'Errors').every(error => at(error, 1) === '404 Not Found')
}

/** Swift's dates are of UTC and do not say so. */
function dateOf(text = ''): Date {
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`)
}

function rethrowFull(error: unknown): never {
  const full =
    error instanceof UnwantedAnswer && (error.status === 507 || (error.status === 413 && /quota/i.test(error.text)))
  throw full ? new OutOfSpace({ cause: error }) : error
}
