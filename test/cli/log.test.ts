import t, { type Test } from 'tap'
import { createTestDatabase } from '../helpers/postgres.ts'
import { type BerthProcess, startBerth } from '../helpers/processes.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { until } from '../http/connection.ts'

interface Started extends BerthProcess {
  lines: () => string[]
}

async function start(t: Test, log: Record<string, unknown>): Promise<Started> {
  const DB_URI = await createTestDatabase(t, { migrate: migrateUrl })
  const berth = await startBerth(t, { config: { version: '0.1', storage: 'filesystem', log }, env: { DB_URI } })
  return Object.assign(berth, { lines: () => berth.stdout().trim().split('\n') })
}

/** Asks for something that is not there, as a client with a secret, and waits for `count` lines about it. */
async function ask({ url, stdout }: Started, count = 1): Promise<void> {
  const headers = { authorization: 'Basic aHVudGVyMg==', 'user-agent': 'tester/1' }
  const response = await fetch(`${url}/v2/a/b/tags/list`, { headers })
  await response.arrayBuffer()
  if (count > 0) await until(() => stdout().includes('/v2/a/b/tags/list'))
}

const parsed = (lines: string[]) => lines.map(line => JSON.parse(line) as Record<string, unknown>)

t.test('json: each line is an object with time, level and message', async t => {
  const berth = await start(t, { formatter: 'json', fields: { service: 'registry', environment: 'test' } })
  await ask(berth)
  const lines = parsed(berth.lines())
  for (const line of lines) {
    t.match(line, { level: 'info', msg: /./, service: 'registry', environment: 'test' })
    t.ok(Date.parse(String(line['time'])) > 0)
  }
  t.match(
    lines.find(line => line['path'] === '/v2/a/b/tags/list'),
    {
      msg: 'request',
      id: /^[0-9a-f-]{36}$/,
      method: 'GET',
      status: 404,
      ms: Number,
      received: 0,
      sent: Number,
      client: '127.0.0.1',
      agent: 'tester/1',
      repository: 'a/b',
    },
  )
  t.match(
    lines.find(line => line['msg'] === 'registry started'),
    { addresses: [berth.url], data: berth.data },
  )
  t.notMatch(berth.stdout(), /aHVudGVyMg|hunter2/)
  t.notMatch(berth.stdout(), /Push a first image/, 'no words for people among them')
})

t.test('logstash: the same by the names that logstash has', async t => {
  const berth = await start(t, { formatter: 'logstash', fields: { service: 'registry' } })
  await ask(berth)
  for (const line of parsed(berth.lines())) {
    t.match(line, { '@version': '1', level: 'info', message: /./, service: 'registry' })
    t.ok(Date.parse(String(line['@timestamp'])) > 0)
    t.notOk('msg' in line || 'time' in line)
  }
})

t.test('text: a line for people, and the banner', async t => {
  const berth = await start(t, { fields: { service: 'registry' } })
  await ask(berth)
  const line = berth.lines().find(text => text.includes('/v2/a/b/tags/list'))
  t.match(line, /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] INFO: request \{.*"status":404.*\}$/)
  t.match(line, /"service":"registry"/)
  t.match(berth.stdout(), `Berth serves at ${berth.url}\n`)
  t.match(berth.stdout(), `Data: ${berth.data}\n`)
  t.match(berth.stdout(), `podman push --tls-verify=false IMAGE ${berth.host}/hello:1`)
  t.match(berth.stdout(), 'open to everyone on this host')
  // eslint-disable-next-line no-control-regex
  t.notMatch(berth.stdout(), /\u001b/, 'no colours where no one looks')
})

t.test('accesslog.disabled leaves out the lines about requests, and no other', async t => {
  const berth = await start(t, { formatter: 'json', accesslog: { disabled: true } })
  await ask(berth, 0)
  berth.kill()
  await berth.waitForExit()
  t.notMatch(berth.stdout(), /tags\/list/)
  t.match(berth.stdout(), /registry stops/)
})

t.test('the level says what is told', async t => {
  const [error, debug] = [await start(t, { level: 'error' }), await start(t, { level: 'debug', formatter: 'json' })]
  await ask(error, 0)
  await fetch(`${debug.url}/livez`)
  await until(() => debug.stdout().includes('/livez'))
  t.match(
    parsed(debug.lines()).find(line => line['path'] === '/livez'),
    { level: 'debug', msg: 'request' },
  )
  error.kill()
  await error.waitForExit()
  t.notMatch(error.stdout(), /INFO/)
})
