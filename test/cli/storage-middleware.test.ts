import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withMiddleware } from '../../server/cli/storage-middleware.ts'
import { loadConfig } from '../../server/config/load.ts'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { createFilesystemDriver } from '../../storage-drivers/filesystem/filesystem.ts'

/** What a configuration makes of the URLs of a driver; the store itself is never asked. */

const key = 'blobs/ab/abcdef01'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** A folder with a configuration and a private key. */
function folderWith(t: Test, text: string): string {
  return t.testdir({
    'config.yml': text,
    'cloudfront.pem': String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  })
}

/** The URL of an object, from a driver of S3 that is as the configuration in the folder has it. */
async function urlIn(folder: string, endpoint?: string): Promise<string | undefined> {
  const files = await createFilesystemDriver({ rootdirectory: join(folder, 'blobs') })
  const driver: StorageDriver = {
    ...files,
    name: 's3',
    signUrl: async (key, { endpoint = 'https://images.s3.eu-west-1.amazonaws.com' }) =>
      `${endpoint}/root/${key}?X-Amz=1`,
  }
  const { config } = loadConfig({ argument: 'config.yml', env: {}, cwd: folder })
  return (await withMiddleware(driver, config)).signUrl?.(key, { expiresMs: 60_000, endpoint })
}

const s3 = 'version: 0.1\nstorage: {s3: {region: eu-west-1, bucket: images, rootdirectory: /root}}\n'
const cloudfront = 'baseurl: https://d1.cloudfront.net, privatekey: cloudfront.pem, keypairid: K2'

t.test('without a middleware URLs are those of the driver', async t => {
  t.equal(await urlIn(folderWith(t, s3)), `https://images.s3.eu-west-1.amazonaws.com/root/${key}?X-Amz=1`)
})

t.test('CloudFront has the objects below the root directory of the bucket', async t => {
  const folder = folderWith(t, `${s3}middleware: {storage: [{name: cloudfront, options: {${cloudfront}}}]}\n`)
  const url = new URL((await urlIn(folder)) ?? '')
  t.equal(url.origin + url.pathname, `https://d1.cloudfront.net/root/${key}`)
  t.equal(url.searchParams.get('Key-Pair-Id'), 'K2')
  t.equal(await urlIn(folder, 'https://inside'), `https://inside/root/${key}?X-Amz=1`)
})

t.test("the CloudFront of Quay has the root directory as its origin's path", async t => {
  const engine = `{s3_bucket: images, s3_region: eu-west-1, storage_path: /root, cloudfront_distribution_domain: d2.cloudfront.net, cloudfront_key_id: K3, cloudfront_privatekey_filename: cloudfront.pem}`
  const folder = folderWith(
    t,
    `version: 0.1\nDISTRIBUTED_STORAGE_CONFIG: {default: [CloudFrontedS3Storage, ${engine}]}\n`,
  )
  const url = new URL((await urlIn(folder)) ?? '')
  t.equal(url.origin + url.pathname, `https://d2.cloudfront.net/${key}`)
  t.equal(url.searchParams.get('Key-Pair-Id'), 'K3')
})

t.test('several are applied in their order', async t => {
  const entries =
    '{name: redirect, options: {baseurl: "http://first/a"}}, {name: rewrite, options: {scheme: https, host: second, trimpathprefix: /a}}'
  t.equal(await urlIn(folderWith(t, `${s3}middleware: {storage: [${entries}]}\n`)), `https://second/${key}`)
})

t.test('a private key that is not there keeps Berth from starting', async t => {
  const options = cloudfront.replace('cloudfront.pem', 'other.pem')
  const folder = folderWith(t, `${s3}middleware: {storage: [{name: cloudfront, options: {${options}}}]}\n`)
  await t.rejects(urlIn(folder), /^the private key for CloudFront, .*\/other\.pem, can not be used \(ENOENT/)
})

t.test('CloudFront in front of what is not S3 is refused', async t => {
  const driver = await createFilesystemDriver({ rootdirectory: t.testdir() })
  const { config } = loadConfig({
    argument: 'config.yml',
    env: {},
    cwd: folderWith(t, `${s3}middleware: {storage: [{name: cloudfront, options: {${cloudfront}}}]}\n`),
  })
  const storage = { ...config.storage, driver: { name: 'filesystem' as const, options: { rootdirectory: '/a' } } }
  await t.rejects(withMiddleware(driver, { ...config, storage }), /serves the objects of S3, and not of filesystem/)
})
