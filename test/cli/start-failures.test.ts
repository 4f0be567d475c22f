import { createServer } from 'node:net'
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { needs, needsRoot } from '../helpers/needs.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { mountTmpfs } from '../storage-drivers/tmpfs.ts'
import { portOf, refuses } from './refuses.ts'

t.test('a data folder that is below a file', async t => {
  const file = join(t.testdir({ file: 'x' }), 'file')
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const sentence =
    /^berth: the folder .*file\/data can not be used for blobs \(.*ENOTDIR.*\): let the user \S+ write to it, or give another one in storage\.filesystem\.rootdirectory \(BERTH_DATA\)/
  await refuses(t, { env: { BERTH_DATA: join(file, 'data'), DB_URI } }, sentence)
  await refuses(t, { env: { BERTH_DATA: join(file, 'data') } }, sentence)
})

t.test('a data folder that may not be written to', async t => {
  if (!needsRoot(t) || needs(t, 'setpriv') === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'berth-'))
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true }))
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  await refuses(
    t,
    { env: { BERTH_DATA: folder, DB_URI }, uid: 65_534 },
    /^berth: the folder .* can not be used for blobs \(.*EACCES.*\): let the user \S+ write to it/,
  )
  await refuses(
    t,
    { env: { BERTH_DATA: folder }, uid: 65_534 },
    /^berth: the folder .* can not be used for blobs \(.*EACCES/,
  )
})

t.test('a disk with no room for a file', async t => {
  const folder = await mountTmpfs(t, 'size=1m,nr_inodes=5')
  if (folder === undefined) return
  for (let full = false, count = 0; !full; count++)
    full = await writeFile(join(folder, `file-${count}`), '').then(
      () => false,
      () => true,
    )
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const sentence = /^berth: the disk of .* is full: make room on it, or give another folder in storage\.filesystem/
  await refuses(t, { env: { BERTH_DATA: folder, DB_URI } }, sentence)
})

t.test('a port that is taken', async t => {
  const port = await portOf(t, createServer())
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const env = { BERTH_DATA: t.testdir(), DB_URI, REGISTRY_HTTP_ADDR: `127.0.0.1:${port}` }
  await refuses(
    t,
    { env },
    new RegExp(`^berth: 127\\.0\\.0\\.1:${port} is taken by another program: stop that one, or set http\\.addr`),
  )
})

t.test('a port that is taken, with a Postgres of its own, which ends too', async t => {
  const port = await portOf(t, createServer())
  const folder = t.testdir()
  await refuses(
    t,
    { env: { BERTH_DATA: folder, REGISTRY_HTTP_ADDR: `127.0.0.1:${port}` } },
    /is taken by another program/,
  )
  t.same(await processesOf(folder), [])
})

t.test('certificates that can not be used are told before anything is started', async t => {
  const folder = t.testdir({ 'crt.pem': 'x', 'key.pem': 'y' })
  const env = {
    BERTH_DATA: join(folder, 'data'),
    REGISTRY_HTTP_TLS_CERTIFICATE: join(folder, 'crt.pem'),
    REGISTRY_HTTP_TLS_KEY: join(folder, 'key.pem'),
  }
  await refuses(t, { env }, /^berth: http\.tls: OpenSSL can not use .*crt\.pem/)
  await refuses(
    t,
    { env: { ...env, REGISTRY_HTTP_TLS_KEY: '/nowhere' } },
    /^berth: http\.tls\.key: the file \/nowhere can not be read/,
  )
})

t.test('a header that can not be sent', async t => {
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const env = { BERTH_DATA: t.testdir(), DB_URI, 'REGISTRY_HTTP_HEADERS_X-A': '["a\\nb"]' }
  await refuses(t, { env }, /^berth: http\.headers: "x-a" can not be sent/)
})

/** Processes that have this folder on their command line. */
async function processesOf(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(ids.map(id => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter(line => line.includes(folder))
}
