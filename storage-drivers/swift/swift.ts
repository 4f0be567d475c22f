import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  type ByteRange,
  ObjectNotFound,
  type StorageDriver,
  StorageUnavailable,
  UploadLost,
  type UploadState,
} from '../driver.ts'
import { createPartMemory } from '../parts.ts'
import { readRange } from '../ranges.ts'
import { createAccess } from './access.ts'
import { createAccount } from './account.ts'
import { isMissing } from './answers.ts'
import { prepareContainer } from './container.ts'
import { createHttp } from './http.ts'
import { readInfo } from './info.ts'
import { logIn, versionOf } from './login.ts'
import type { SwiftOptions } from './options.ts'
import { inHaste, repeating } from './retries.ts'
import { createSegmentSizes, deleteLarge, segmentsOfManifest } from './segments.ts'
import { loginFailure, noLargeObjects, storageFailure } from './sentences.ts'
import { openSession } from './session.ts'
import {
  largeFolder,
  markerOf,
  segmentName,
  segmentNames,
  segmentsFolder,
  type SwiftUpload,
  tailName,
  uploadOf,
  uploadsFolder,
} from './state.ts'
import { createStore } from './store.ts'
import { openTempUrls } from './temp-urls.ts'
import { dropUpload, findUploads } from './unfinished.ts'

/**
 * Blobs in OpenStack Swift, or in a server that speaks as it does (Ceph RADOS Gateway). Below the prefix:
 *
 *   blobs/ab/<uuid>                 an object of one piece
 *   slo/ab/<uuid>                   the manifest of an object of segments (static large object)
 *   segments/<uuid>/<number>-<run>  a segment, of an upload or an object; the run is the session that wrote it
 *   uploads/<uuid>/open             empty: there are segments of an upload that is not committed
 *   uploads/<uuid>/<offset>-<run>   the last bytes of an upload that was saved, too few for a segment
 *   check/<uuid>                    of a check under way; Swift removes it by itself
 *
 * Bytes go to their segment and stay there: a commit puts a manifest, or what is smaller than a segment. Which segments
 * there are is known from the upload's state, and never from a list, which in Swift may be late.
 */
export async function createSwiftDriver(options: SwiftOptions): Promise<StorageDriver> {
  const { container, prefix, parallel } = options
  await using stack = new AsyncDisposableStack()
  const http = stack.use(createHttp(options.tls))
  /** Failures of a login, which any request may come by. */
  const ofLogin = new WeakSet<Error>()
  const access = createAccess(() =>
    logIn(http, options).catch((error: unknown) => {
      if (error instanceof Error) ofLogin.add(error)
      throw error
    }),
  )
  let url = ''

  /** Does what is asked for by an operator, who is told what is wrong. */
  async function explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (failure) {
      const error = failure instanceof StorageUnavailable ? failure.cause : failure
      throw error instanceof Error && ofLogin.has(error)
        ? loginFailure(error, { auth: options.auth, version: versionOf(options.auth) })
        : storageFailure(error, { url, container })
    }
  }

  url = (await explained(() => repeating(() => access.get(), inHaste.patienceMs))).storageUrl

  const info = await explained(() => readInfo(http, url))
  if (info.segments === undefined) throw noLargeObjects(url)
  const account = createAccount({ http, access })
  await explained(() => prepareContainer(account, { url, container, create: options.createContainer }))
  const store = createStore({ account, container, prefix, deletesAtOnce: info.deletes })
  const nameBytes = Buffer.byteLength(decodeURIComponent(store.pathOf(segmentName(randomUUID(), 1, 'x'.repeat(17)))))
  const sizes = createSegmentSizes(options.chunkSize, info, nameBytes)
  const perManifest = segmentsOfManifest(info, nameBytes)
  const memory = createPartMemory({ chunkSize: sizes.chunkSize, parallel })
  const tempUrls = await explained(() => openTempUrls({ http, account, store, info, ...options }))

  const session = (upload: SwiftUpload, tail: Uint8Array, resumed: boolean) =>
    openSession({ store, memory, sizes, perManifest, upload, tail, resumed })

  async function open(name: string, range: ByteRange): Promise<Readable> {
    try {
      return await store.get(name, range)
    } catch (error) {
      throw isMissing(error) ? new ObjectNotFound(name, { cause: error }) : error
    }
  }

  async function read(name: string, range: ByteRange): Promise<Readable> {
    // No bytes is a range that can't be asked for.
    if (range.last >= range.first) return readRange(range, rest => open(name, rest), await open(name, range))
    if ((await store.head(name)) === undefined) throw new ObjectNotFound(name)
    return Readable.from([])
  }

  /** @throws UploadLost where its segments are gone, or are those of an object */
  async function checkOpen({ id, segments }: SwiftUpload): Promise<void> {
    const marker = segments.length === 0 ? undefined : await store.head(markerOf(id))
    if (segments.length > 0 && (marker === undefined || marker.marked)) throw new UploadLost()
  }

  /** @throws UploadLost */
  async function bytesOf(name: string, size: number): Promise<Readable> {
    try {
      return await read(name, { first: 0, last: size - 1 })
    } catch (error) {
      throw error instanceof ObjectNotFound ? new UploadLost({ cause: error }) : error
    }
  }

  async function* piecesOf(upload: SwiftUpload): AsyncGenerator<Buffer> {
    const { id, segments, tail } = upload
    for (const [index, name] of segmentNames(upload).entries()) {
      yield* (await bytesOf(name, segments[index]?.size ?? 0)) as AsyncIterable<Buffer>
    }
    if (tail !== undefined) yield* (await bytesOf(tailName(id, tail), tail.size)) as AsyncIterable<Buffer>
  }

  const running = stack.move()
  return {
    name: 'swift',

    createUpload: () => session({ id: randomUUID(), segments: [] }, new Uint8Array(), false),

    async resumeUpload(state) {
      const upload = uploadIn(state)
      const { id, tail } = upload
      const [bytes] = await Promise.all([
        tail === undefined ? Buffer.alloc(0) : bytesOf(tailName(id, tail), tail.size).then(buffer),
        checkOpen(upload),
      ])
      return session(upload, bytes, true)
    },

    async readUpload(state) {
      const upload = uploadIn(state)
      const { id, tail } = upload
      const [last] = await Promise.all([tail && store.head(tailName(id, tail)), checkOpen(upload)])
      if (tail !== undefined && last === undefined) throw new UploadLost()
      return Readable.from(piecesOf(upload), { objectMode: false })
    },

    dropUpload: state => dropUpload(store, state),

    abandonedUploads: before => findUploads(store, before),

    read: (key, range) => read(checkedKey(key), range),

    ...(tempUrls === undefined ? {} : { signUrl: async (key, signing) => tempUrls.sign(checkedKey(key), signing) }),

    async size(key) {
      return (await store.head(checkedKey(key)))?.size
    },

    async delete(keys) {
      const [large, plain] = [true, false].map(wanted =>
        keys.map(checkedKey).filter(key => key.startsWith(largeFolder) === wanted),
      )
      await Promise.all([store.delete(plain ?? []), deleteLarge(store, large ?? [], info)])
    },

    async check() {
      await explained(async () => {
        const name = `check/${randomUUID()}`
        const bytes = randomBytes(8)
        await store.put(name, bytes, { deleteAfter: 3600, ...inHaste })
        const back = await buffer(await store.get(name, { first: 0, last: bytes.length - 1 }, inHaste))
        if (!back.equals(bytes)) throw new Error(`Swift at ${url} gives back other bytes than it was given`)
        await store.delete([name])
      })
    },

    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** @throws UploadLost where it is none of this driver's */
function uploadIn(state: UploadState): SwiftUpload {
  const upload = uploadOf(state)
  if (upload === undefined) throw new UploadLost()
  return upload
}

/** Keys come out of rows, which someone may have written by hand: none is one of an upload or of a segment. */
function checkedKey(key: string): string {
  if (key === '' || key.startsWith(uploadsFolder) || key.startsWith(segmentsFolder))
    throw new Error(`${JSON.stringify(key)} can not be the key of an object`)
  return key
}
