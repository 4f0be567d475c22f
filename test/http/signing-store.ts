/**
 * A stand-in for a store that serves objects to clients by signed URLs: the files of the filesystem driver behind a
 * small HTTP server. It shows what Berth does with such URLs; that those of S3 work is shown with a real server
 * (test/storage-drivers/s3.test.ts).
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Test } from 'tap'
import type { SignOptions, StorageDriver } from '../../storage-drivers/driver.ts'

export interface SigningStore {
  /** Makes a driver one that signs URLs of this store. */
  wrap(driver: StorageDriver): StorageDriver
  url: string
  /** What it was asked to sign. */
  signed: ({ key: string } & SignOptions)[]
  /** The requests that came with a signed URL. */
  served: { path: string; headers: IncomingHttpHeaders }[]
}

export async function startSigningStore(t: Test): Promise<SigningStore> {
  const signed: SigningStore['signed'] = []
  const served: SigningStore['served'] = []
  const keys = new Map<string, string>()
  let driver: StorageDriver | undefined

  const server = createServer((request, response) => {
    void answer().catch(error => response.destroy(error))

    async function answer(): Promise<void> {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store')
      const key = keys.get(searchParams.get('signature') ?? '')
      const size = key === undefined ? undefined : await driver?.size(key)
      if (key === undefined || pathname !== `/${key}` || size === undefined) {
        response.writeHead(403).end()
        return
      }
      served.push({ path: pathname, headers: request.headers })
      const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
      const range = { first: Number(first ?? 0), last: last === undefined || last === '' ? size - 1 : Number(last) }
      response.writeHead(first === undefined ? 200 : 206, {
        etag: '"of-the-store"',
        'content-length': range.last - range.first + 1,
        ...(first === undefined ? {} : { 'content-range': `bytes ${range.first}-${range.last}/${size}` }),
      })
      const stream = await driver?.read(key, range)
      if (stream !== undefined) await pipeline(stream, response)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  return {
    url,
    signed,
    served,
    wrap(files) {
      driver = files
      const store: StorageDriver = { ...files }
      delete store.filePath
      delete store.openObject
      return {
        ...store,
        name: 'signing',
        async signUrl(key, options) {
          signed.push({ key, ...options })
          const signature = randomBytes(16).toString('hex')
          keys.set(signature, key)
          return `${options.endpoint ?? url}/${key}?signature=${signature}`
        },
      }
    },
  }
}
