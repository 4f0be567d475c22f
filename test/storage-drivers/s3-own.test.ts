/** What is S3's own, against a real RADOS Gateway. */
import { randomBytes, randomUUID } from 'node:crypto'
import dns from 'node:dns'
import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import { createServer } from 'node:tls'
import { buffer } from 'node:stream/consumers'
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import t, { type Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { type StorageDriver, UploadLost } from '../../storage-drivers/driver.ts'
import type { S3Options } from '../../storage-drivers/s3/options.ts'
import { createS3Driver } from '../../storage-drivers/s3/s3.ts'
import { createAuthority } from '../http/certificates.ts'
import { type Ceph, kmsKey, startCephFor } from '../services/ceph.ts'
import { closing, get, put } from './contract.ts'
import { s3Options } from './s3-options.ts'

const mebibyte = 1024 * 1024
const ceph = await startCephFor(t)
if (ceph !== undefined) testAll(ceph)

function test(title: string, check: (t: Test) => Promise<void>): void {
  void t.test(title, check)
}

function testAll(ceph: Ceph): void {
  const optionsFor = (more: Partial<S3Options> = {}) => s3Options(ceph, `own-${randomUUID()}`, more)

  /** Everything that stands in a bucket: objects, and multipart uploads that were not completed. */
  async function everythingIn(bucket: string): Promise<{ objects: string[]; uploads: string[] }> {
    const { endpoint, accessKey, secretKey } = ceph.s3
    const client = new S3Client({
      endpoint,
      region: 'us-east-1',
      forcePathStyle: true,
      credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    })
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    client.destroy()
    return { objects: Contents.map(({ Key = '' }) => Key), uploads: Uploads.map(({ Key = '' }) => Key) }
  }

  test('an upload of many parts goes on in another process, and leaves the object alone', async t => {
    const options = optionsFor()
    await using one = await createS3Driver(options)
    await using other = await createS3Driver(options)
    const bytes = randomBytes(23 * mebibyte)
    const first = closing(await one.createUpload())
    await first.write([bytes.subarray(0, 12 * mebibyte)])
    const state = await first.save()
    t.equal(state.offset, 12 * mebibyte)
    await first.close()
    await using second = closing(await other.resumeUpload(JSON.parse(JSON.stringify(state)) as typeof state))
    await second.write([bytes.subarray(12 * mebibyte)])
    const key = await second.commit('blobs/unused')
    await second.close()
    t.ok((await get(one, key, bytes.length)).equals(bytes))
    t.ok(
      (await buffer(await one.read(key, { first: 5 * mebibyte - 3, last: 15 * mebibyte }))).equals(
        bytes.subarray(5 * mebibyte - 3, 15 * mebibyte + 1),
      ),
      'over the borders of parts',
    )
    t.same(await everythingIn(options.bucket), { objects: [`registry/${key}`], uploads: [] })
  })

  test('a bucket is a part of the host name where the path style is off', async t => {
    const { lookup } = dns
    const asked = new Set<string>()
    // A system need not know the names below localhost.
    t.intercept(dns, 'lookup', {
      value: (name: string, ...rest: [never]) => {
        asked.add(name)
        lookup(name.replace(/^.*\.localhost$/, 'localhost'), ...rest)
      },
    })
    const endpoint = ceph.s3.endpoint.replace('127.0.0.1', 'localhost')
    const options = optionsFor({ endpoint, pathStyle: false })
    await using driver = await createS3Driver(options)
    await roundTrip(t, driver)
    const url = new URL((await driver.signUrl?.('blobs/round-trip', { expiresMs: 60_000 })) ?? '')
    t.equal(url.hostname, `${options.bucket}.localhost`)
    t.ok(asked.has(`${options.bucket}.localhost`))
    t.ok((await everythingIn(options.bucket)).objects.length > 0, 'in the bucket that has a path as well')
  })

  test('what is stored is told without asking, and is enough to go on from', async t => {
    await using driver = await createS3Driver(optionsFor())
    const bytes = randomBytes(11 * mebibyte)
    const session = closing(await driver.createUpload())
    t.equal(session.stored().offset, 0)
    await session.write([bytes])
    t.equal(session.length, bytes.length)
    const saved = await session.save()
    t.equal(session.stored().offset, bytes.length)
    await session.write([Buffer.from('x')])
    const { offset } = session.stored()
    t.ok(offset <= bytes.length && offset >= 10 * mebibyte, 'whole parts')
    await session.close()
    await driver.dropUpload(saved)
  })

  test('an upload in parts is read before its commit, which still ends it', async t => {
    const options = optionsFor()
    await using driver = await createS3Driver(options)
    const bytes = randomBytes(11 * mebibyte)
    await using session = closing(await driver.createUpload())
    await session.write([bytes])
    const state = await session.save()
    t.ok((await buffer(await driver.readUpload(state))).equals(bytes))
    const key = await session.commit('blobs/unused')
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
    await session.close()
    t.same(await everythingIn(options.bucket), { objects: [`registry/${key}`], uploads: [] })
  })

  test('an upload in parts that was dropped under its writer is lost, and leaves nothing', async t => {
    const options = optionsFor()
    await using driver = await createS3Driver(options)
    const session = closing(await driver.createUpload())
    await session.write([randomBytes(11 * mebibyte)])
    await driver.dropUpload(await session.save())
    await t.rejects(session.commit('blobs/unused'), UploadLost)
    await session.close()
    t.same(await everythingIn(options.bucket), { objects: [], uploads: [] })
  })

  test('an upload that another process completed with other bytes is lost, and never taken for its own', async t => {
    const options = optionsFor()
    await using one = await createS3Driver(options)
    await using other = await createS3Driver(options)
    const [begin, good, evil] = [6 * mebibyte, 1000, 1000].map(size => randomBytes(size)) as [Buffer, Buffer, Buffer]
    await using mine = closing(await one.createUpload())
    await mine.write([begin])
    const state = await mine.save()
    await using theirs = closing(await other.resumeUpload(state))
    await theirs.write([evil])
    const seen = await buffer(await other.readUpload(await theirs.save()))
    t.ok(seen.equals(Buffer.concat([begin, evil])))
    await mine.write([good])
    await t.rejects(mine.commit('blobs/unused'), UploadLost)
  })

  test('a commit that comes too late leaves the object of the other one alone', async t => {
    const options = optionsFor()
    await using one = await createS3Driver(options)
    await using other = await createS3Driver(options)
    await using mine = closing(await one.createUpload())
    await mine.write([Buffer.from('content')])
    const state = await mine.save()
    await using theirs = closing(await other.resumeUpload(state))
    const key = await mine.commit('blobs/unused')
    await mine.close()
    await t.rejects(theirs.commit('blobs/unused'), UploadLost)
    t.equal((await get(one, key, 7)).toString(), 'content')
  })

  test('two writers of one upload do not change what the other has saved', async t => {
    const options = optionsFor()
    await using one = await createS3Driver(options)
    const first = closing(await one.createUpload())
    await first.write([Buffer.from('a')])
    const begun = await first.save()
    await using second = closing(await one.resumeUpload(begun))
    await second.write([Buffer.from('other')])
    await first.write([Buffer.from('right')])
    const [mine, theirs] = [await first.save(), await second.save()]
    await first.close()
    t.equal((await buffer(await one.readUpload(mine))).toString(), 'aright')
    t.equal((await buffer(await one.readUpload(theirs))).toString(), 'aother')
  })

  test('an upload that began long ago is not abandoned while parts come', async t => {
    const options = optionsFor()
    await using driver = await createS3Driver(options)
    await using session = closing(await driver.createUpload())
    await session.write([randomBytes(6 * mebibyte)])
    await session.save()
    await new Promise(resolve => setTimeout(resolve, 3000))
    const between = new Date(Date.now() - 1000)
    await session.write([randomBytes(6 * mebibyte)])
    await session.save()
    const found = await Array.fromAsync(driver.abandonedUploads(between))
    t.same(
      found.filter(state => 'multipart' in state.driver),
      [],
    )
    t.equal((await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000)))).length > 0, true)
  })

  test('an older state without parts takes its parts with it when it is dropped', async t => {
    const options = optionsFor()
    await using driver = await createS3Driver(options)
    const session = closing(await driver.createUpload())
    await session.write([randomBytes(1000)])
    const older = await session.save()
    await session.write([randomBytes(11 * mebibyte)])
    await session.save()
    await session.close()
    await driver.dropUpload(older)
    t.same(await everythingIn(options.bucket), { objects: [], uploads: [] })
  })

  test('abandoned parts and tails are told by what every state of them has', async t => {
    const options = optionsFor()
    await using driver = await createS3Driver(options)
    const states = []
    for (const size of [11 * mebibyte, 1000]) {
      await using session = closing(await driver.createUpload())
      await session.write([randomBytes(size)])
      states.push(await session.save())
    }
    const found = await Array.fromAsync(driver.abandonedUploads(new Date(Date.now() + 60_000)))
    for (const { driver: part } of found)
      t.ok(states.some(state => Object.entries(part).every(([key, value]) => state.driver[key] === value)))
    for (const state of found) await driver.dropUpload(state)
    t.same(await everythingIn(options.bucket), { objects: [], uploads: [] })
  })

  test('with content keys an object stands where its digest says, if that needs no copy', async t => {
    await using driver = await createS3Driver(optionsFor({ contentKeys: true }))
    const [small, large] = [randomBytes(1000), randomBytes(11 * mebibyte)]
    const key = `blobs/sha256/ab/${'ab'.repeat(32)}`
    t.equal(await put(driver, key, small), key, 'smaller than a part')
    await using session = closing(await driver.createUpload({ key }))
    await session.write([large])
    t.equal(await session.commit(key), key, 'known when the upload began')
    t.ok((await get(driver, key, large.length)).equals(large))
    t.not(await put(driver, key, large), key, 'not known: no copy is made')
  })

  test('objects are deleted one by one where the server does not take many', async t => {
    await using driver = await createS3Driver(optionsFor({ bulkDelete: false }))
    const keys = await Promise.all(['a', 'b', 'c'].map(part => put(driver, 'blobs/x', Buffer.from(part))))
    await driver.delete([...keys, 'blobs/ab/never'])
    for (const key of keys) t.equal(await driver.size(key), undefined)
  })

  test('a signed URL gives the object to anyone, whole or a range, until it expires, and nothing else', async t => {
    await using driver = await createS3Driver(optionsFor())
    const key = await put(driver, 'blobs/signed', Buffer.from('content'))
    const url = (await driver.signUrl?.(key, { expiresMs: 60_000 })) ?? ''
    t.equal(await (await fetch(url)).text(), 'content')
    const part = await fetch(url, { headers: { range: 'bytes=1-3' } })
    t.equal(part.status, 206)
    t.equal(await part.text(), 'ont')
    t.equal((await fetch(url, { method: 'DELETE' })).status, 403)
    const other = await put(driver, 'blobs/other', Buffer.from('secret'))
    t.equal((await fetch(url.replace(key, other))).status, 403)
    const short = (await driver.signUrl?.(key, { expiresMs: 1000 })) ?? ''
    await new Promise(resolve => setTimeout(resolve, 2500))
    t.equal((await fetch(short)).status, 403, 'expired')
  })

  test('a URL can be signed for another name of the server', async t => {
    await using driver = await createS3Driver(optionsFor())
    const key = await put(driver, 'blobs/signed', Buffer.from('content'))
    const endpoint = ceph.s3.endpoint.replace('127.0.0.1', 'localhost')
    const url = (await driver.signUrl?.(key, { expiresMs: 60_000, endpoint })) ?? ''
    t.match(url, /^http:\/\/localhost:/)
    t.equal(await (await fetch(url)).text(), 'content')
  })

  test('TLS: a private authority is trusted when it is given, or verification can be left out', async t => {
    const authority = await createAuthority(t.testdir())
    const pair = await authority.sign('gateway')
    const far = new URL(ceph.s3.endpoint)
    const server = createServer({ cert: await readFile(pair.certificate), key: await readFile(pair.key) }, socket => {
      const gateway = connect(Number(far.port), far.hostname)
      socket.pipe(gateway).pipe(socket)
      for (const end of [socket, gateway])
        end.on('error', () => {}).on('close', () => (socket.destroy(), gateway.destroy()))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const address = server.address()
    const endpoint = `https://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
    await t.rejects(
      createS3Driver(optionsFor({ endpoint })),
      /certificate of https.* is not trusted.*storage\.s3\.cafile/,
    )
    for (const tls of [
      { skipVerify: true },
      { skipVerify: false, ca: await readFile(authority.certificate, 'utf8') },
    ]) {
      await using driver = await createS3Driver(optionsFor({ endpoint, tls }))
      await roundTrip(t, driver)
    }
  })

  test('encryption and a storage class are asked for', async t => {
    for (const more of [
      { encryption: { algorithm: 'AES256' }, storageClass: 'STANDARD', acl: 'private', userAgent: 'berth-test' },
      { encryption: { algorithm: 'aws:kms', keyId: kmsKey } },
    ] as const) {
      await using driver = await createS3Driver(optionsFor(more))
      await roundTrip(t, driver)
    }
    const unknown = optionsFor({ encryption: { algorithm: 'aws:kms', keyId: 'none' } })
    await t.rejects(createS3Driver(unknown), /that for encryption in storage\.s3\.keyid/)
  })

  test('a clock that is off keeps it from starting, and it says by how much', async t => {
    for (const [minutes, sentence] of [
      [20, /^the clock of this machine is 20 minutes ahead of the one of S3: have it set by NTP$/],
      [-20, /^the clock of this machine is 20 minutes behind the one of S3/],
      [10, /^the clock of this machine is 10 minutes ahead/],
    ] as const) {
      const clock = shiftClock(minutes * 60_000)
      try {
        await t.rejects(createS3Driver(optionsFor()), sentence)
      } finally {
        clock.mend()
      }
    }
    await using driver = await createS3Driver(optionsFor())
    await roundTrip(t, driver)
  })

  test('what keeps it from starting is one sentence that says what to do', async t => {
    const keys = { accessKey: ceph.s3.accessKey, secretKey: ceph.s3.secretKey }
    const port = await freePort()
    for (const [options, sentence] of [
      [optionsFor({ createBucket: false }), /^there is no bucket own-.* storage\.s3\.createbucket: true$/],
      [
        optionsFor({ credentials: { ...keys, accessKey: 'NOBODY' } }),
        /^http.* does not know the key in storage\.s3\.accesskey/,
      ],
      [
        optionsFor({ credentials: { ...keys, secretKey: 'wrong' } }),
        /^http.* refuses the signature: correct storage\.s3\.secretkey/,
      ],
      [optionsFor({ endpoint: 'http://nowhere.invalid' }), /^the host of http:\/\/nowhere\.invalid is not known/],
      [optionsFor({ endpoint: ceph.s3.endpoint.replace('http:', 'https:') }), /does not speak TLS/],
      [{ ...optionsFor(), bucket: 'A_b' }, /takes no bucket with the name A_b/],
      [
        optionsFor({ endpoint: `http://127.0.0.1:${port}` }),
        /does not answer as it should \(.*ECONNREFUSED.*see that it runs/,
      ],
    ] as const) {
      const error = await createS3Driver(options).then(
        () => undefined,
        (failure: unknown) => failure,
      )
      t.match(error instanceof Error ? error.message : 'no error', sentence)
      t.notMatch(String(error), 'kubesecretkey')
    }
  })
}

async function roundTrip(t: Test, driver: StorageDriver): Promise<void> {
  for (const size of [10, 11 * mebibyte]) {
    const bytes = randomBytes(size)
    const key = await put(driver, 'blobs/round-trip', bytes)
    t.ok((await get(driver, key, size)).equals(bytes), `${size} bytes`)
  }
}

/** Sets the clock of this process, for who asks it what time it is. */
function shiftClock(ms: number): { mend: () => void } {
  const Right = globalThis.Date
  globalThis.Date = class extends Right {
    constructor(...given: unknown[]) {
      super(...((given.length === 0 ? [Right.now() + ms] : given) as [number]))
    }
    static override now(): number {
      return Right.now() + ms
    }
  } as DateConstructor
  return { mend: () => void (globalThis.Date = Right) }
}
