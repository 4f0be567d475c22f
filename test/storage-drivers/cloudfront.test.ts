import { createVerify, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ask } from '../../conformance/http.ts'
import { type CloudFrontOptions, withCloudFront } from '../../storage-drivers/cloudfront.ts'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createFilesystemDriver } from '../../storage-drivers/filesystem/filesystem.ts'
import { withRememberedUrls } from '../../storage-drivers/remembered-urls.ts'
import { withBaseUrl, withRewrittenUrls } from '../../storage-drivers/url-middleware.ts'

/**
 * URLs that others give out for a driver. CloudFront itself can't be had here: `verified` does what its documentation
 * says that it does with a URL that was signed with a canned policy.
 */

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keyPairId = 'K2JCJMDEHXQW5F'
const key = 'blobs/ab/abcdef01-2345-4789-8abc-def012345678'

const forms = ['pkcs1', 'pkcs8'] as const
const keys = t.testdir(
  Object.fromEntries(forms.map(type => [type, String(pair.privateKey.export({ type, format: 'pem' }))])),
)

/** A driver of files that signs like a store, at the endpoint that is asked for. */
async function signing(t: Test): Promise<StorageDriver> {
  const driver = await createFilesystemDriver({ rootdirectory: t.testdir() })
  return {
    ...driver,
    async signUrl(key, { endpoint = 'https://images.s3.example.com', expiresMs }) {
      return `${endpoint}/root/${key}?X-Amz-Expires=${expiresMs / 1000}&X-Amz-Signature=a%2Fb`
    },
  }
}

async function sign(t: Test, options: Partial<CloudFrontOptions> = {}, asked = { expiresMs: 60_000 }): Promise<string> {
  const driver = await signing(t)
  const wrapped = withCloudFront(driver, {
    baseUrl: 'https://d111111abcdef8.cloudfront.net',
    keyPairId,
    folder: '',
    privateKeyFile: join(keys, 'pkcs8'),
    ...options,
  })
  return (await wrapped.signUrl?.(key, asked)) ?? 'no URL'
}

/** Whether CloudFront would serve a URL at a time ("Create a signed URL using a canned policy" in its guide). */
function verified(text: string, { now = Date.now(), publicKey = pair.publicKey } = {}): boolean {
  const url = new URL(text)
  const expires = Number(url.searchParams.get('Expires'))
  const signature = url.searchParams.get('Signature') ?? ''
  const base64 = signature.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/')
  const policy = `{"Statement":[{"Resource":"${url.origin}${url.pathname}","Condition":{"DateLessThan":{"AWS:EpochTime":${expires}}}}]}`
  const holds = createVerify('RSA-SHA1').update(policy).verify(publicKey, base64, 'base64')
  return holds && url.searchParams.get('Key-Pair-Id') === keyPairId && now < expires * 1000
}

t.test('the signature is the one of the key, for this object alone and until it expires', async t => {
  for (const type of forms) {
    const url = await sign(t, { privateKeyFile: join(keys, type) })
    t.ok(verified(url), type)
    t.notOk(verified(url, { publicKey: other.publicKey }), 'another key')
    t.notOk(verified(url.replace('/ab/', '/ac/')), 'another object')
    t.notOk(verified(url.replace('d111111', 'd222222')), 'another distribution')
    const expires = Number(new URL(url).searchParams.get('Expires'))
    t.notOk(verified(url.replace(`Expires=${expires}`, `Expires=${expires + 1}`)), 'a later end')
    t.notOk(verified(url, { now: expires * 1000 }), 'too late')
  }
})

t.test('a URL is good for as long as is asked for, or as the options say', async t => {
  const table: [options: Partial<CloudFrontOptions>, seconds: number][] = [
    [{}, 1200],
    [{ expiresMs: 3_600_000 }, 3600],
  ]
  for (const [options, expected] of table) {
    const url = new URL(await sign(t, options, { expiresMs: 1_200_000 }))
    const seconds = Number(url.searchParams.get('Expires')) - Date.now() / 1000
    t.ok(Math.abs(seconds - expected) < 5, `${seconds} seconds`)
  }
})

t.test('the path is that of the distribution and the object in it', async t => {
  const table: [options: Partial<CloudFrontOptions>, start: string][] = [
    [{}, 'https://d111111abcdef8.cloudfront.net/blobs/ab/'],
    [{ folder: '/registry/images/' }, 'https://d111111abcdef8.cloudfront.net/registry/images/blobs/ab/'],
    [{ folder: 'with space' }, 'https://d111111abcdef8.cloudfront.net/with%20space/blobs/ab/'],
    [{ baseUrl: 'd1.cloudfront.net' }, 'https://d1.cloudfront.net/blobs/ab/'],
    [{ baseUrl: 'https://images.example.com/a/b/', folder: 'c' }, 'https://images.example.com/a/b/c/blobs/ab/'],
    [{ baseUrl: 'http://127.0.0.1:8080/' }, 'http://127.0.0.1:8080/blobs/ab/'],
  ]
  for (const [options, start] of table) {
    const url = await sign(t, options)
    t.ok(url.startsWith(start), url)
    t.ok(verified(url))
  }
})

t.test('whoever is to go to another endpoint gets the URL of the store itself', async t => {
  const asked = { expiresMs: 60_000, endpoint: 'https://s3.inside.example.com' }
  t.match(await sign(t, { expiresMs: 1000 }, asked), /^https:\/\/s3\.inside\.example\.com\/root\/.*X-Amz-Expires=60&/)
})

t.test('a server that checks the signature gives out the object by the URL, and by no other', async t => {
  const edge = createServer((request, response) => {
    const allowed = verified(`http://${request.headers.host}${request.url}`)
    response.writeHead(allowed ? 200 : 403).end(allowed ? 'bytes' : '')
  }).listen(0, '127.0.0.1')
  await once(edge, 'listening')
  t.teardown(() => void edge.close())
  const url = await sign(t, { baseUrl: `http://127.0.0.1:${(edge.address() as AddressInfo).port}` })
  t.equal((await ask(url)).body.toString(), 'bytes')
  t.equal((await ask(url.replace('/ab/', '/ac/'))).status, 403)
})

t.test('the rest of the driver stays as it was', async t => {
  const driver = await signing(t)
  const wrapped = withCloudFront(driver, {
    baseUrl: 'a.example.com',
    keyPairId,
    privateKeyFile: join(keys, 'pkcs8'),
    folder: '',
  })
  t.same({ ...wrapped, signUrl: undefined }, { ...driver, signUrl: undefined })
  t.equal(wrapped[Symbol.asyncDispose], driver[Symbol.asyncDispose])
})

t.test('a key that can not be used is told at the start, without the key', async t => {
  const folder = t.testdir({ empty: '', text: 'not a key' })
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  writeFileSync(join(folder, 'elliptic'), elliptic.export({ type: 'pkcs8', format: 'pem' }))
  const locked = pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  writeFileSync(join(folder, 'locked'), locked)
  writeFileSync(join(folder, 'public'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
  const driver = await createFilesystemDriver({ rootdirectory: join(folder, 'blobs') })
  for (const name of ['missing', 'empty', 'text', 'elliptic', 'locked', 'public']) {
    const privateKeyFile = join(folder, name)
    try {
      withCloudFront(driver, { baseUrl: 'a.example.com', keyPairId, privateKeyFile, folder: '' })
      t.fail(`${name} was taken`)
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error('no error')
      t.match(message, `the private key for CloudFront, ${privateKeyFile}, can not be used (`)
      t.match(message, /: give the path of an RSA key in PEM without a passphrase, which Berth's user can read$/)
      t.notMatch(message, /BEGIN|\n/)
    }
  }
})

t.test(
  'with a base URL objects are given out by their path below it, and another endpoint takes its place',
  async t => {
    const files = await createFilesystemDriver({ rootdirectory: t.testdir() })
    const wrapped = withBaseUrl(files, { baseUrl: 'https://images.example.com/a/' })
    const digest = 'blobs/sha256/ab/abcdef'
    t.equal(await wrapped.signUrl?.(digest, { expiresMs: 1 }), 'https://images.example.com/a/blobs/sha256/ab/abcdef')
    const endpoint = 'http://10.0.0.1:8080'
    t.equal(await wrapped.signUrl?.(digest, { expiresMs: 1, endpoint }), 'http://10.0.0.1:8080/blobs/sha256/ab/abcdef')
  },
)

t.test('rewriting changes scheme, host and the beginning of the path, and nothing of the signed rest', async t => {
  const driver = await signing(t)
  const rewritten = async (options: Parameters<typeof withRewrittenUrls>[1], endpoint?: string) =>
    withRewrittenUrls(driver, options).signUrl?.(key, { expiresMs: 60_000, endpoint })
  const rest = `${key}?X-Amz-Expires=60&X-Amz-Signature=a%2Fb`
  t.equal(await rewritten({ scheme: 'http' }), `http://images.s3.example.com/root/${rest}`)
  t.equal(await rewritten({ host: 'cache.example.com:8443' }), `https://cache.example.com:8443/root/${rest}`)
  t.equal(await rewritten({ trimPathPrefix: '/root' }), `https://images.s3.example.com/${rest}`)
  t.equal(await rewritten({ trimPathPrefix: '/root/' }), `https://images.s3.example.com/${rest}`)
  t.equal(await rewritten({ trimPathPrefix: '/other' }), `https://images.s3.example.com/root/${rest}`)
  t.equal(await rewritten({ host: 'a.b' }, 'http://inside:8080'), `http://inside:8080/root/${rest}`)
})

t.test('rewriting the URLs of a driver that has none is refused', async t => {
  const files = await createFilesystemDriver({ rootdirectory: t.testdir() })
  t.throws(() => withRewrittenUrls(files, { scheme: 'http' }), /the storage driver filesystem makes no URLs/)
})

t.test('a URL is given again for a tenth of its time, a minute at most, and for nothing else', async t => {
  const driver = await signing(t)
  let clock = 1000
  let count = 0
  const remembering = withRememberedUrls(
    { ...driver, signUrl: async (key, { endpoint = '' }) => `${endpoint}/${key}?${++count}` },
    { now: () => clock },
  )
  const sign = (key: string, expiresMs: number, endpoint?: string) =>
    remembering.signUrl?.(key, { expiresMs, endpoint })
  t.equal(await sign('a', 100_000), '/a?1')
  t.equal(await sign('b', 100_000), '/b?2')
  t.equal(await sign('a', 100_000, 'http://c'), 'http://c/a?3')
  t.equal(await sign('a', 3_600_000), '/a?4')
  clock += 9_999
  t.equal(await sign('a', 100_000), '/a?1')
  clock += 2
  t.equal(await sign('a', 100_000), '/a?5')
  clock += 49_998
  t.equal(await sign('a', 3_600_000), '/a?4')
  clock += 2
  t.equal(await sign('a', 3_600_000), '/a?6')
})

t.test('a URL is not given again for longer than the driver lets it be good', async t => {
  const driver = await signing(t)
  let clock = 1000
  let count = 0
  const remembering = withRememberedUrls(
    { ...driver, signUrl: async () => String(++count) },
    { longestMs: 30_000, now: () => clock },
  )
  t.equal(await remembering.signUrl?.('a', { expiresMs: 1_200_000 }), '1')
  clock += 3_001
  t.equal(await remembering.signUrl?.('a', { expiresMs: 1_200_000 }), '2')
})

t.test('an error in signing is not remembered, and a driver without URLs stays without', async t => {
  const driver = await signing(t)
  let broken = true
  const signUrl = async () => (broken ? Promise.reject(new Error('no credentials')) : 'https://a')
  const remembering = withRememberedUrls({ ...driver, signUrl })
  await t.rejects(async () => remembering.signUrl?.('a', { expiresMs: 60_000 }), /no credentials/)
  broken = false
  t.equal(await remembering.signUrl?.('a', { expiresMs: 60_000 }), 'https://a')
  const files = await createFilesystemDriver({ rootdirectory: t.testdir() })
  t.equal(withRememberedUrls(files), files)
})
