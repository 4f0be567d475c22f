import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type pg from 'pg'
import t from 'tap'
import { silentLog } from '../../server/lib/log.ts'
import { startEmbeddedPostgres } from '../../server/metadata/embedded/postgres.ts'
import { createTestDatabase, startDebianPostgres, urlOf } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { ask, makeUsedFolder } from './fixtures/embedded.ts'

const cloning = fileURLToPath(new URL('fixtures/embedded-clone.ts', import.meta.url))

const tables = `select count(*)::int as count from pg_tables where schemaname = 'public'`
const clone = (url: string) =>
  promisify(execFile)(process.execPath, [cloning], { env: { ...process.env, BERTH_TEST_DATABASE_URL: url } })
const connect = (url: string) => ({ connectionString: url })

t.test('each test has a database of its own, with the schema, and it goes with the test', async t => {
  const urls: string[] = []
  let calls = 0
  const migrate = async (url: string) => {
    calls++
    await migrateUrl(url)
  }
  await t.test('while they run', async t => {
    const began = performance.now()
    urls.push(...(await Promise.all([1, 2, 3].map(() => createTestDatabase(t, { migrate })))))
    t.comment(`three databases in ${Math.round(performance.now() - began)} ms`)
    t.equal(new Set(urls).size, 3)
    await ask(connect(urls[0] ?? ''), 'create table mine (n int)')
    const counts = await Promise.all(
      urls.map(async url => (await ask<{ count: number }>(connect(url), tables))[0]?.count),
    )
    t.ok(counts[1])
    t.strictSame(counts, [Number(counts[1]) + 1, counts[1], counts[1]])
    t.ok(calls <= 1, 'the schema is made once at most')
  })
  for (const url of urls) await t.rejects(ask(connect(url), 'select 1'), { code: '3D000' })
})

t.test('a database without migrations is empty', async t => {
  t.strictSame(await ask(connect(await createTestDatabase(t)), tables), [{ count: 0 }])
})

t.test('however many test files come by at the same moment, the schema is made once', async t => {
  const postgres = await startEmbeddedPostgres({ folder: await makeUsedFolder(t), log: silentLog, fsync: false })
  t.teardown(() => postgres[Symbol.asyncDispose]())
  const url = urlOf(postgres.administrator)
  const racing = await Promise.all([clone(url), clone(url), clone(url)])
  const later = await clone(urlWithFolderAsParameter(postgres.administrator))
  for (const { stdout } of [...racing, later]) t.match(stdout, /^ok 1 - /m)
  t.equal(racing.flatMap(({ stdout }) => stdout.match(/# migrates/g) ?? []).length, 1)
  t.notMatch(later.stdout, '# migrates')
})

/** The other way in which a URL may name the folder of a socket. */
function urlWithFolderAsParameter({ host, user, password, port, database }: pg.ClientConfig): string {
  return `postgresql:///${database}?host=${host}&port=${port}&user=${user}&password=${String(password)}`
}

const needsDebian = existsSync('/usr/lib/postgresql/15/bin/postgres') ? false : 'needs postgresql-15'

t.test("Debian's PostgreSQL is there as an operator has it", { skip: needsDebian }, async t => {
  const url = (await startDebianPostgres(t)) ?? ''
  await migrateUrl(url)
  t.match(
    await ask(
      connect(url),
      `select current_setting('server_version') as version, rolsuper as superuser
       from pg_roles where rolname = current_user`,
    ),
    [{ version: /^15\./, superuser: false }],
  )
})
