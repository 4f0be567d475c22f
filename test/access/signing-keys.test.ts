import t, { type Test } from 'tap'
import { createSigningKeys, type SigningKeysOptions } from '../../server/access/signing-keys.ts'
import { silentLog } from '../../server/lib/log.ts'
import { openDatabase, statement } from '../../server/metadata/database.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { watchStatements } from '../helpers/statements.ts'

const secretKey = 'a key that is long enough'
const day = 24 * 3600_000

async function openTestDatabase(t: Test) {
  const connectionString = await createTestDatabase(t, { migrate: migrateUrl })
  const database = openDatabase({ connection: { connectionString }, poolSize: 5, log: silentLog })
  t.teardown(() => database[Symbol.asyncDispose]())
  return watchStatements(database)
}

const all = statement(
  'test.keys',
  'select id, private_key, signs_until, expires_at from signing_keys order by signs_until',
)
const age = statement(
  'test.age',
  `update signing_keys set signs_until = signs_until - make_interval(secs => $1), expires_at = expires_at - make_interval(secs => $1)`,
)

t.test('processes share one key, and find those that others have made', async t => {
  const { database, taken } = await openTestDatabase(t)
  const options: SigningKeysOptions = { database, algorithm: 'ES256', secretKey, tokenMs: day }
  const one = createSigningKeys(options)
  const other = createSigningKeys(options)
  const { id } = await one.current()
  t.equal((await other.current()).id, id)
  t.equal((await database.rows(all)).length, 1)
  taken()
  t.ok(await other.find(id))
  t.same(taken(), ['signing_keys.list'])
  t.ok(await other.find(id))
  t.equal((await one.current()).id, id)
  t.same(taken(), [], 'what is known costs nothing')
})

t.test('many at once make one key', async t => {
  const { database } = await openTestDatabase(t)
  const keys = createSigningKeys({ database, algorithm: 'ES256', secretKey, tokenMs: day })
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await keys.current()).id))
  t.equal(new Set(ids).size, 1)
  t.equal((await database.rows(all)).length, 1)
})

t.test(
  'a key signs for a day, the next is there an hour before, and the old one verifies as long as a token lives',
  async t => {
    const { database } = await openTestDatabase(t)
    const options: SigningKeysOptions = { database, algorithm: 'ES256', secretKey, tokenMs: 2 * day }
    const first = (await createSigningKeys(options).current()).id

    await database.change(age, [(day - 2 * 3600_000) / 1000])
    t.equal((await createSigningKeys(options).current()).id, first, 'two hours before its end it still signs')
    await database.change(age, [1.5 * 3600])
    const second = (await createSigningKeys(options).current()).id
    t.not(second, first, 'half an hour before its end there is another one')
    t.equal((await createSigningKeys(options).current()).id, second)
    const fresh = createSigningKeys(options)
    t.ok(await fresh.find(first), 'tokens of the first are still good')

    await database.change(age, [(2 * day) / 1000 + 3600])
    t.equal(await createSigningKeys(options).find(first), undefined, 'until the last of them has ended')
    const third = (await createSigningKeys(options).current()).id
    t.notOk([first, second].includes(third))
    const rows = await database.rows(all)
    t.notOk(
      rows.some(({ id }) => id === first),
      'and then its row goes',
    )
  },
)

t.test('ids that someone makes up do not make a query each', async t => {
  const { database, taken } = await openTestDatabase(t)
  const keys = createSigningKeys({ database, algorithm: 'ES256', secretKey, tokenMs: day })
  const { id } = await keys.current()
  taken()
  const shapes = ['', 'x', '../../etc/passwd', 'a\0b', `${id}x`, 'é'.repeat(43)]
  for (const made of shapes) t.equal(await keys.find(made), undefined)
  t.same(taken(), [], 'what can be no id is not looked for')

  const started = performance.now()
  const madeUp = Array.from({ length: 500 }, (_, at) => String(at).padStart(43, 'A'))
  const found = await Promise.all(madeUp.map(made => keys.find(made)))
  t.ok(found.every(key => key === undefined))
  t.equal(taken().length, 1, 'all who ask at once share a look')
  for (const made of madeUp.slice(0, 2)) await keys.find(made.replace('A', 'B'))
  const looks = taken().length
  t.ok(looks <= 1 + (performance.now() - started) / 1000, `${looks} looks`)
  t.ok(await keys.find(id), 'a key that is there is found all the same')
})

t.test('the private half is encrypted, and of no use with another key', async t => {
  const { database } = await openTestDatabase(t)
  const options: SigningKeysOptions = { database, algorithm: 'RS256', secretKey, tokenMs: day }
  await createSigningKeys(options).current()
  const [row] = await database.rows<{ private_key: Buffer }>(all)
  t.notOk(row?.private_key.includes('"d"'))
  const other = createSigningKeys({ ...options, secretKey: 'another key, also long' })
  await t.rejects(other.current(), { message: /set auth.accounts.secretkey as it was/ })
})

t.test('each algorithm has keys of its own', async t => {
  const { database } = await openTestDatabase(t)
  const ids = []
  for (const algorithm of ['ES256', 'RS256'] as const) {
    const keys = createSigningKeys({ database, algorithm, secretKey, tokenMs: day })
    const { id, key } = await keys.current()
    t.equal(key.algorithm.name, algorithm === 'ES256' ? 'ECDSA' : 'RSASSA-PKCS1-v1_5')
    ids.push(id)
  }
  const keys = createSigningKeys({ database, algorithm: 'ES256', secretKey, tokenMs: day })
  for (const id of ids) t.ok(await keys.find(id), 'and both verify, while a registry changes from one to the other')
})
