import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { startBerth } from '../helpers/processes.ts'
import { watchProcesses } from './leftovers.ts'

t.test('Berth as a process is killed, started again on the same data, and stopped', async t => {
  const berth = await startBerth(t, { config: { version: '0.1', storage: 'filesystem', log: { formatter: 'json' } } })
  const killed = berth.pid
  berth.kill('SIGKILL')
  t.same(await berth.waitForExit(), { code: undefined, signal: 'SIGKILL' })
  await t.rejects(fetch(`${berth.url}/v2/`), 'it is gone')

  await berth.restart()
  t.not(berth.pid, killed)
  t.equal((await fetch(`${berth.url}/v2/`)).status, 200)
  t.same(await berth.stop(), { code: 0, signal: undefined })
  t.match(berth.stdout() + berth.stderr(), /"msg":"registry started"/, 'the configuration was taken')
})

t.test('a Berth that does not start says why', async t => {
  await t.rejects(startBerth(t, { config: { version: '0.1', nonsense: 1 } }), /ended with 1 .*nonsense/s)
})

t.test('what is left behind is found and killed', async t => {
  const watch = watchProcesses('BERTH_TEST_LEFTOVERS', 'here')
  if (watch === undefined) {
    t.pass('needs /proc', { skip: true })
    return
  }
  // One that keeps the marker and leaves its parent, and one that has none but is seen before it leaves.
  const marked = { env: { ...process.env, BERTH_TEST_LEFTOVERS: 'here' }, detached: true }
  const bare = { env: { PATH: process.env['PATH'] }, detached: true }
  const started = [spawn('sh', ['-c', 'setsid sleep 600 &'], marked), spawn('sh', ['-c', 'sleep 1; sleep 600 &'], bare)]
  await Promise.all(started.map(child => once(child, 'exit')))
  const found = await watch.leftovers(100)
  t.equal(found.filter(name => name.endsWith(' sleep 600')).length, 2)
  t.same(await watch.leftovers(), [], 'and all of them are gone')
})
