import t from 'tap'
import { parse } from 'yaml'
import { describeConfig } from '../../server/config/describe.ts'
import { at } from '../../server/config/tree.ts'
import { type Env, least, loadText } from './load-text.ts'

function described(t: Parameters<typeof loadText>[0], more: string, env: Env = {}): unknown {
  return parse(describeConfig(loadText(t, `${least}${more}\n`, env).config))
}

t.test('what is in force is a file that loads into the same configuration', async t => {
  const { config } = loadText(
    t,
    `version: 0.1
data: /state
storage: {filesystem: {rootdirectory: /blobs}}
log: {level: ERROR, fields: {a: 1, b: [x], c: true, d: '0123'}}
http:
  addr: '[::1]:0'
  prefix: /images
  draintimeout: 1m30s
  headers: {X-A: [one, two]}
  tls:
    certificate: a.crt
    key: a.key
    minimumtls: tls1.1
    clientauth: request-client-cert
    ciphersuites: [TLS_RSA_WITH_RC4_128_SHA, TLS_AES_128_GCM_SHA256]
health: {tcp: [{addr: 'a:1', timeout: 1500ms}], http: [{uri: 'http://a'}], file: [{file: b}]}
validation: {manifests: {urls: {allow: ['(?i)^https://a\\.b/'], deny: ['^ftp:']}, indexes: {platforms: none}}}
database: {url: 'postgresql://db/berth'}
`,
  )
  const again = loadText(t, describeConfig(config))
  t.same(again.config, config)
  t.same(again.warnings, [])
  t.same(again.notes, [])
})

t.test('a socket is described as it was given', async t => {
  const http = at(described(t, 'http: {net: unix, addr: /run/berth.sock}'), 'http')
  t.match(http, { net: 'unix', addr: '/run/berth.sock' })
})

t.test('the secret of uploads is masked', async t => {
  t.equal(at(described(t, 'http: {secret: hunter2}'), 'http.secret'), '***')
})

t.test('the password in the URL of the database is masked, however it is put there', async t => {
  const urls: Record<string, string> = {
    'postgresql://berth:hunter2@db:5432/berth': 'postgresql://berth:***@db:5432/berth',
    'postgresql://berth:hunter2/@x@db/berth': 'postgresql://berth:***@db/berth',
    'postgresql://berth@db/berth?password=hunter2&sslmode=require':
      'postgresql://berth@db/berth?password=***&sslmode=require',
    'postgresql://db:5432/berth': 'postgresql://db:5432/berth',
  }
  for (const [url, masked] of Object.entries(urls)) {
    t.equal(at(described(t, '', { DB_URI: url }), 'database.url'), masked)
  }
})

t.test('what is named like a secret is masked wherever it stands', async t => {
  const tree = described(
    t,
    `log: {fields: {api_key: hunter2, accessKey: hunter2, dbpassword: 12345, nested: {token: hunter2}, monkey: seen, flag: true}}
http: {headers: {X-Secret: [hunter2], Set-Cookie: [hunter2]}}
health: {http: [{uri: 'https://me:hunter2@server/', headers: {Authorization: [Basic hunter2]}}]}`,
  )
  t.notMatch(JSON.stringify(tree), /hunter2|12345/)
  t.match(tree, { log: { fields: { monkey: 'seen', flag: true } } })
  t.match(tree, { health: { http: [{ uri: 'https://me:***@server/' }] } })
})

t.test('of access the secret key is masked, and for how long tokens are good is not', async t => {
  const text = 'auth: {accounts: {secretkey: 0123456789abcdef, tokenlifetime: 10m}}'
  t.equal(at(described(t, text), 'auth.accounts.secretkey'), '***')
  t.equal(at(described(t, text), 'auth.accounts.tokenlifetime'), '10m')
  const token = 'auth: {token: {realm: "https://a/token", service: b, issuer: c, jwks: /keys.json}}'
  t.match(at(described(t, token), 'auth.token'), { realm: 'https://a/token', jwks: '/keys.json', autoredirect: false })
})

t.test('private keys are masked whatever they are called, and the path of a key is not', async t => {
  const tree = described(
    t,
    `log: {fields: {note: "-----BEGIN RSA PRIVATE KEY-----\\nabc"}}
http: {tls: {certificate: /a.crt, key: /a.key}}`,
  )
  t.equal(at(tree, 'log.fields.note'), '***')
  t.equal(at(tree, 'http.tls.key'), '/a.key')
})
