import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { Agent, request as secureRequest } from 'node:https'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { blobKey } from '../../../server/registry/blob-keys.ts'
import type { OpenObject, StorageDriver } from '../../../storage-drivers/driver.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry, type TestRegistry, type TestRegistryOptions } from '../../helpers/registry.ts'
import { openBlobs, until } from '../../storage-drivers/open-files.ts'
import { createAuthority, tlsFiles } from '../certificates.ts'
import { open } from '../connection.ts'
import { pull, push } from './uploads-client.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
const blob = randomBlob(3 * mebibyte + 12_345)

/** Around what is sent by one write, around one buffer, around what is read ahead, and the whole. */
const lengths = [
  1,
  16 * kibibyte,
  16 * kibibyte + 1,
  64 * kibibyte - 1,
  64 * kibibyte,
  64 * kibibyte + 1,
  128 * kibibyte,
  128 * kibibyte + 1,
  192 * kibibyte + 7,
  448 * kibibyte,
  704 * kibibyte - 1,
  2 * mebibyte + 1,
  blob.bytes.length,
]

type Get = (range: string) => Promise<{ status: number; body: Buffer }>

/** Each length at the beginning, in the middle and at the end. */
async function checkRanges(t: Test, get: Get): Promise<void> {
  for (const length of lengths) {
    for (const first of new Set([0, Math.min(4097, blob.bytes.length - length), blob.bytes.length - length])) {
      const { status, body } = await get(`bytes=${first}-${first + length - 1}`)
      const right = body.equals(blob.bytes.subarray(first, first + length))
      t.ok(status === 206 && right, `${length} bytes at ${first}`)
    }
  }
}

/** With a driver whose opened objects are as `wrap` makes them. */
function opening(wrap: (object: OpenObject) => OpenObject): TestRegistryOptions {
  return {
    wrapDriver: driver => ({
      ...driver,
      async openObject(key) {
        const object = await driver.openObject?.(key)
        if (object === undefined) throw new Error('this driver opens no objects')
        return wrap(object)
      },
    }),
  }
}

const registry = await startRegistry(t)
await push(registry, 'downloads/a', blob)
const urlOf = ({ url }: Pick<TestRegistry, 'url'>, { digest } = blob) => `${url}/v2/downloads/a/blobs/${digest}`
const whole = (from: TestRegistry) => pull(from, 'downloads/a', blob.digest)

t.test('every length of a range comes byte for byte', async t => {
  await checkRanges(t, range => pull(registry, 'downloads/a', blob.digest, { headers: { range } }))
})

t.test('blobs of every length come byte for byte', async t => {
  for (const length of lengths) {
    const content = randomBlob(length)
    await push(registry, 'downloads/a', content)
    const { status, headers, body } = await pull(registry, 'downloads/a', content.digest)
    t.equal(status, 200)
    t.equal(headers['content-length'], String(length))
    t.ok(body.equals(content.bytes), `${length} bytes`)
  }
})

t.test('many ranges at once do not get into each other', async t => {
  const wanted = Array.from({ length: 400 }, (_, index) => {
    const first = (index * 7919) % 2_000_000
    return { first, length: lengths[index % (lengths.length - 2)] ?? 1 }
  })
  const lines = await Promise.all(
    [0, 1, 2, 3, 4, 5, 6, 7].map(async part => {
      const connection = await open(registry.url)
      let right = 0
      for (const [index, { first, length }] of wanted.entries()) {
        if (index % 8 !== part) continue
        const range = `bytes=${first}-${first + length - 1}`
        connection.send(`GET /v2/downloads/a/blobs/${blob.digest} HTTP/1.1\r\nHost: x\r\nRange: ${range}\r\n\r\n`)
        const { body } = await connection.answer()
        if (body.equals(blob.bytes.subarray(first, first + length))) right++
      }
      connection.close()
      return right
    }),
  )
  t.same(lines, [50, 50, 50, 50, 50, 50, 50, 50])
})

t.test('answers that were asked for all at once come one after the other', async t => {
  const connection = await open(registry.url)
  const firsts = [0, 100_000, 5, 2_000_000]
  const asked = firsts.map(
    first =>
      `GET /v2/downloads/a/blobs/${blob.digest} HTTP/1.1\r\nHost: x\r\nRange: bytes=${first}-${first + 299_999}\r\n\r\n`,
  )
  connection.send(asked.join(''))
  for (const first of firsts) {
    const { body } = await connection.answer()
    t.ok(body.equals(blob.bytes.subarray(first, first + 300_000)), `from ${first}`)
  }
  connection.close()
})

t.test('over TLS and over HTTP/2 it is the same', async t => {
  const authority = await createAuthority(join(t.testdir(), 'tls'))
  const tls = tlsFiles(await authority.sign('server'))
  const ca = await readFile(authority.certificate)
  const secure = await startRegistry(t, { tls })
  const session = connectHttp2(secure.url, { ca })
  t.teardown(() => session.destroy())
  const path = new URL(urlOf(secure)).pathname
  const sending = session.request({
    ':method': 'POST',
    ':path': `/v2/downloads/a/blobs/uploads/?digest=${blob.digest}`,
  })
  sending.end(blob.bytes)
  const [head] = await once(sending, 'response')
  t.equal(head[':status'], 201)
  sending.resume()

  const agent = new Agent({ ca, keepAlive: true })
  t.teardown(() => agent.destroy())
  await checkRanges(t, async range => {
    const asked = secureRequest(urlOf(secure), { agent, headers: { range } }).end()
    const [response]: IncomingMessage[] = await once(asked, 'response')
    if (response === undefined) throw new Error('there is no response')
    return { status: response.statusCode ?? 0, body: await buffer(response) }
  })
  await checkRanges(t, async range => {
    const stream = session.request({ ':path': path, range })
    const [headers] = await once(stream, 'response')
    return { status: headers[':status'], body: await buffer(stream) }
  })
})

t.test('where the driver has streams alone, they are sent', async t => {
  const { databaseUrl, root } = registry
  const streams = await startRegistry(t, {
    databaseUrl,
    root,
    wrapDriver(driver) {
      const wrapped: StorageDriver = { ...driver }
      delete wrapped.openObject
      return wrapped
    },
  })
  await checkRanges(t, range => pull(streams, 'downloads/a', blob.digest, { headers: { range } }))
})

t.test('reads that give less than was asked for are gone on with', async t => {
  const { databaseUrl, root } = registry
  let turn = 0
  const short = opening(object => ({
    ...object,
    read(buffers, position) {
      const [first = Buffer.alloc(0), ...others] = buffers
      const kept =
        turn++ % 3 === 0 ? [first.subarray(0, 777)] : turn % 3 === 1 ? [first] : [first, ...others.slice(0, 1)]
      return object.read(kept, position)
    },
  }))
  const slow = await startRegistry(t, { databaseUrl, root, ...short })
  await checkRanges(t, range => pull(slow, 'downloads/a', blob.digest, { headers: { range } }))
})

t.test('a client that stops and goes on gets every byte, and what was read ahead of it is let go', async t => {
  const { databaseUrl, root } = registry
  const large = randomBlob(60 * mebibyte)
  await push(registry, 'downloads/a', large)
  let bytesRead = 0
  let lastRead = 0
  const watched = await startRegistry(t, {
    databaseUrl,
    root,
    ...opening(object => ({
      ...object,
      async read(buffers, position) {
        const count = await object.read(buffers, position)
        bytesRead += count
        lastRead = performance.now()
        return count
      },
    })),
  })
  const asked = request(urlOf(watched, large), { agent: false }).end()
  const [response]: IncomingMessage[] = await once(asked, 'response')
  const chunks: Buffer[] = []
  let length = 0
  let stopAt = 1
  for await (const chunk of response ?? []) {
    if (!Buffer.isBuffer(chunk)) continue
    chunks.push(chunk)
    length += chunk.length
    if (length < stopAt) continue
    // Until nothing more is read for a client that takes nothing.
    lastRead = performance.now()
    await until(
      () => performance.now() - lastRead,
      quiet => quiet > 200,
    )
    stopAt = length + 15 * mebibyte
  }
  t.ok(Buffer.concat(chunks).equals(large.bytes))
  t.ok(bytesRead > large.bytes.length, 'some of it was read again')
  t.ok(bytesRead < large.bytes.length + 20 * 512 * kibibyte, 'and not much')
})

t.test('what is deleted or replaced while it is sent comes to its end', async t => {
  const { driver } = registry
  for (const change of ['deleted', 'replaced']) {
    const content = randomBlob(40 * mebibyte)
    await push(registry, 'downloads/a', content)
    const asked = request(urlOf(registry, content), { agent: false }).end()
    const [response]: IncomingMessage[] = await once(asked, 'response')
    if (response === undefined) throw new Error('there is no response')
    if (change === 'deleted') {
      t.equal((await pull(registry, 'downloads/a', content.digest, { method: 'DELETE' })).status, 202)
      await driver.delete([blobKey(content.digest)])
      t.equal((await pull(registry, 'downloads/a', content.digest)).status, 404)
    } else {
      await push(registry, 'downloads/b', content)
    }
    t.ok((await buffer(response)).equals(content.bytes), change)
    const deleted = () => openBlobs(registry.root).filter(file => file.endsWith('(deleted)'))
    const left = await until(deleted, files => files.length === 0, 1_000)
    t.same(left, [], 'its room is free as soon as it is sent')
  }
})

t.test('a read that fails before the first byte is answered, and cuts the connection behind it', async t => {
  const { databaseUrl, root } = registry
  for (const [fails, range, wanted] of [
    [1, 'bytes=0-99', 500],
    [1, 'bytes=0-999999', 500],
    [2, 'bytes=0-999999', 'ECONNRESET'],
    [5, 'bytes=0-2999999', 'ECONNRESET'],
  ] as const) {
    let reads = 0
    let released = 0
    const broken = await startRegistry(t, {
      databaseUrl,
      root,
      ...opening(object => ({
        read: (buffers, position) =>
          ++reads < fails ? object.read(buffers, position) : Promise.reject(new Error('the disk has come off')),
        release() {
          released++
          object.release()
        },
      })),
    })
    const outcome = await pull(broken, 'downloads/a', blob.digest, { headers: { range } }).then(
      ({ status, headers }) => (headers['content-range'] === undefined ? status : 'with headers of the blob'),
      (error: NodeJS.ErrnoException) => error.code,
    )
    t.equal(outcome, wanted, `read ${fails} of ${range}`)
    t.ok(
      (await until(
        () => released,
        count => count > 0,
      )) > 0,
      'and the blob is let go',
    )
  }
})

t.test('a client that goes away while its blob is read is no error, and leaves nothing open', async t => {
  const { databaseUrl, root } = registry
  const gate = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  let released = 0
  const slow = await startRegistry(t, {
    databaseUrl,
    root,
    ...opening(object => ({
      async read(buffers, position) {
        reached.resolve()
        await gate.promise
        return object.read(buffers, position)
      },
      release() {
        released++
        object.release()
      },
    })),
  })
  const asked = request(urlOf(slow), { agent: false })
  asked.on('error', () => {})
  asked.end()
  await reached.promise
  asked.destroy()
  t.equal(
    await until(
      () => released,
      count => count === 1,
    ),
    1,
    'at once',
  )
  gate.resolve()
  t.same(
    await until(
      () => openBlobs(root),
      files => files.length === 0,
    ),
    [],
  )
  t.ok((await whole(slow)).body.equals(blob.bytes))
})

t.test('a server that stops lets a download come to its end', async t => {
  const { databaseUrl, root } = registry
  const stopping = await startRegistry(t, { databaseUrl, root })
  const content = randomBlob(40 * mebibyte)
  await push(stopping, 'downloads/a', content)
  const asked = request(urlOf(stopping, content), { agent: false }).end()
  const [response]: IncomingMessage[] = await once(asked, 'response')
  if (response === undefined) throw new Error('there is no response')
  let closed = false
  const closing = stopping.app.close().then(() => (closed = true))
  await setTimeout(300)
  t.notOk(closed, 'it waits for the client')
  t.ok((await buffer(response)).equals(content.bytes))
  await closing
})
