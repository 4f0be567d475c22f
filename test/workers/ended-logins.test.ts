import t from 'tap'
import { statement } from '../../server/metadata/database.ts'
import { silentLog } from '../../server/lib/log.ts'
import { createWorkers } from '../../server/workers/index.ts'
import { makeSession, startWithAccounts } from '../helpers/accounts.ts'
import { startRegistry } from '../helpers/registry.ts'

const uploadpurging = { enabled: false, age: 1, interval: 1, dryrun: false }
const age = statement('test.age', `update sessions set expires_at = now() where account_id = $1`)
const count = statement('test.count', `select count(*) as sessions from sessions`)

t.test('sessions that have ended are taken away, also by two turns at once, and the others stay', async t => {
  const registry = await startWithAccounts(t)
  const kept = await makeSession(registry, 'kept')
  await makeSession(registry, 'ended')
  const { id } = await registry.operations.users.find('ended')
  await registry.database.change(age, [id])
  const workers = createWorkers({ uploadpurging }, registry.services, silentLog)
  t.equal(workers.length, 1)
  const { signal } = new AbortController()
  await Promise.all([...workers, ...workers].map(worker => worker.run(signal)))
  t.strictSame(await registry.database.row(count), { sessions: 2 }, 'of the superuser, and of who is kept')
  t.equal((await kept.get('/user/')).status, 200)
})

t.test('without accounts there are none', async t => {
  const { services } = await startRegistry(t)
  t.strictSame(createWorkers({ uploadpurging }, services, silentLog), [])
})
