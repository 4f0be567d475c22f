import pg from 'pg'
import t from 'tap'
import { readMigrations } from '../../server/metadata/migrate.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startBerth } from '../helpers/processes.ts'
import { emptyConfig, refuses } from './refuses.ts'
import { runBerth } from './run-berth.ts'

t.test('migrate brings an empty database to the newest schema, once', async t => {
  const DB_URI = await createTestDatabase(t)
  const names = (await readMigrations()).map(({ name }) => name)
  const args = ['migrate', emptyConfig]
  const [first, second] = [await runBerth(args, { env: { DB_URI } }), await runBerth(args, { env: { DB_URI } })]
  t.match(first, { code: 0, stderr: '' })
  t.match(first.stdout, `applied: ${names.join(', ')}\n`)
  t.match(second, { code: 0, stderr: '' })
  t.match(second.stdout, 'the schema is the newest already\n')
  const client = new pg.Client({ connectionString: DB_URI })
  await client.connect()
  const { rows } = await client.query<{ name: string }>('select name from schema_migrations order by version')
  await client.end()
  t.same(
    rows.map(({ name }) => name),
    names,
  )
})

t.test('many at once apply each migration once', async t => {
  const DB_URI = await createTestDatabase(t)
  const results = await Promise.all(
    Array.from({ length: 3 }, () => runBerth(['migrate', emptyConfig], { env: { DB_URI } })),
  )
  t.same(
    results.map(({ code }) => code),
    [0, 0, 0],
  )
  t.equal(results.filter(({ stdout }) => stdout.includes('applied: ')).length, 1)
})

t.test('migrate starts the Postgres that Berth brings along, and leaves none behind', async t => {
  const env = { BERTH_DATA: t.testdir() }
  const { code, stdout } = await runBerth(['migrate', emptyConfig], { env })
  t.equal(code, 0)
  t.match(stdout, /applied: 0001_/)
  t.match(stdout, /embedded postgres stopped/)
})

t.test('a data folder that a running Berth has is left to it', async t => {
  const berth = await startBerth(t)
  const env = { BERTH_DATA: berth.data }
  await refuses(t, { env }, /^berth: .* is in use by another Berth \(process \d+\)/, ['migrate', emptyConfig])
  await refuses(t, { env }, /^berth: .* is in use by another Berth \(process \d+\)/)
  t.equal((await fetch(`${berth.url}/readyz`)).status, 200)
})
