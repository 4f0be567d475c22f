import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { scopes } from '../../../server/access/actor.ts'
import { statement } from '../../../server/metadata/database.ts'
import { adminPassword, createClient, field, signIn, startWithAccounts, tokenFor } from '../../helpers/accounts.ts'

const everything = statement(
  'test.everything',
  `select string_agg(row::text, ' ') as text from (
     select to_jsonb(a) as row from accounts a union all select to_jsonb(u) from users u
     union all select to_jsonb(r) from robots r union all select to_jsonb(k) from app_tokens k
     union all select to_jsonb(o) from oauth_applications o union all select to_jsonb(o) from oauth_tokens o
     union all select to_jsonb(s) from sessions s union all select to_jsonb(f) from refresh_tokens f
     union all select to_jsonb(c) from recovery_codes c union all select to_jsonb(i) from signing_keys i) as rows`,
)

t.test('no secret stands in the log, nor in the database as it is', async t => {
  const lines: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const log = pino({ level: 'trace' }, stream)
  const registry = await startWithAccounts(t, { log, requestLog: log })
  const { url, admin, database } = registry
  const secrets = [adminPassword]

  const robot = await admin.put('/user/robots/builder')
  const app = await admin.post('/user/apptoken', { title: 'laptop' })
  await admin.post('/organization/', { name: 'acme' })
  const application = await admin.post('/organization/acme/applications', { name: 'builder' })
  const id = String(field(application.body, 'client_id'))
  const token = await admin.post(`/organization/acme/applications/${id}/tokens`, { name: 'x', scope: 'repo:read' })
  const recovery = await admin.post('/superuser/users/', { username: 'someone', email: 'someone@example.com' })
  secrets.push(
    ...[
      field(robot.body, 'token'),
      field(app.body, 'token', 'token_code'),
      field(application.body, 'client_secret'),
      field(token.body, 'token'),
      field(recovery.body, 'password'),
    ].map(String),
    await tokenFor(registry, 'admin', scopes),
  )
  t.ok(
    secrets.every(secret => secret.length >= 8 && secret !== 'undefined'),
    'there are secrets to look for',
  )

  // Each is shown once where it is right and once where it is wrong.
  for (const secret of secrets) {
    await createClient(url, { authorization: `Bearer ${secret}` }).get('/user/')
    for (const name of ['admin', '$app', '$oauthtoken', 'admin+builder', 'someone']) {
      const authorization = `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`
      await fetch(`${url}/v2/`, { headers: { authorization } })
      const answer = await fetch(`${url}/v2/auth?service=berth&offline_token=true`, { headers: { authorization } })
      const body: unknown = await answer.json()
      for (const shown of [field(body, 'token'), field(body, 'refresh_token')])
        if (typeof shown === 'string') t.notOk(lines.join('').includes(shown))
    }
  }
  await t.rejects(signIn(url, { username: 'admin', password: 'wrongpass123' }))
  await createClient(url).post('/user/initialize', { username: 'x', password: secrets[0] })

  const logged = lines.join('')
  t.ok(lines.length > 50)
  const { text = '' } = (await database.row<{ text: string }>(everything)) ?? {}
  t.ok(text.length > 1000)
  for (const [at, secret] of [...secrets, 'wrongpass123'].entries()) {
    t.notOk(logged.includes(secret), `secret ${at} is not in the log`)
    t.notOk(logged.includes(Buffer.from(`admin:${secret}`).toString('base64').slice(0, 20)), `nor encoded`)
    t.notOk(text.includes(secret), `secret ${at} is not in the database`)
  }
})
