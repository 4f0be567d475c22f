import t from 'tap'
import { differencesOf, type Sided } from '../../compare/differences.ts'

function answered(status: number, body: unknown, headers: Record<string, string> = {}, host = 'localhost:1'): Sided {
  const bytes = Buffer.from(body === undefined ? '' : JSON.stringify(body))
  return { answer: { status, headers, body: bytes }, names: { host, service: host } }
}

const challenge = (host: string) => ({
  'www-authenticate': `Bearer realm="http://${host}/v2/auth",service="${host}"`,
  date: host,
})

t.test('answers with other values and the same fields do not differ', async t => {
  const one = answered(200, { users: [{ name: 'a', age: 1 }], next: null })
  const other = answered(200, {
    users: [
      { name: 'b', age: 2 },
      { name: 'c', age: 3 },
    ],
    next: null,
  })
  t.same(differencesOf(one, other), [])
})

t.test('a field that is missing, or of another type, is told with its place', async t => {
  const one = answered(200, { users: [{ name: 'a', avatar: { hash: 'x' } }], total: 1 })
  const other = answered(200, { users: [{ name: null }], total: 1 })
  t.same(differencesOf(one, other), [
    { at: 'body.users[].avatar', quay: 'object', berth: 'none' },
    { at: 'body.users[].name', quay: 'string', berth: 'null' },
  ])
})

t.test('how a moment is written counts', async t => {
  const one = answered(200, { created: 'Sun, 22 Nov 2026 01:00:00 -0000' })
  const other = answered(200, { created: '2026-11-22T01:00:00Z' })
  t.same(differencesOf(one, other), [{ at: 'body.created', quay: 'date of RFC 2822', berth: 'date of ISO 8601' }])
})

t.test('the status counts, and of a refusal beside a success nothing else', async t => {
  const one = answered(200, { a: 1 })
  t.same(differencesOf(one, answered(404, { message: 'x' })), [{ at: 'status', quay: '200', berth: '404' }])
  t.same(differencesOf(one, answered(201, { a: 1 })), [{ at: 'status', quay: '200', berth: '201' }])
})

t.test('headers that clients read are compared without what is of one server alone', async t => {
  const one = answered(401, undefined, challenge('localhost:1'))
  t.same(differencesOf(one, answered(401, undefined, challenge('localhost:2'), 'localhost:2')), [])
  t.same(differencesOf(one, answered(401, undefined, { 'docker-content-digest': 'x' }, 'localhost:2')), [
    {
      at: 'header www-authenticate',
      quay: 'Bearer realm="http://HOST/v2/auth",service="SERVICE"',
      berth: 'none',
    },
    { at: 'header docker-content-digest', quay: 'none', berth: 'x' },
  ])
})

t.test('the words by which programs tell refusals apart count', async t => {
  const one = answered(400, { errors: [{ code: 'DIGEST_INVALID', message: 'a' }] })
  t.same(differencesOf(one, answered(400, { errors: [{ code: 'BLOB_UPLOAD_INVALID', message: 'b' }] })), [
    { at: 'body.errors[].code', quay: 'DIGEST_INVALID', berth: 'BLOB_UPLOAD_INVALID' },
  ])
})
