import { createHmac } from 'node:crypto'
import { exportSPKI, generateKeyPair, importPKCS8, exportPKCS8, SignJWT, UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Granted } from '../../server/access/actor.ts'
import { createSigningKeys } from '../../server/access/signing-keys.ts'
import { createTokens, graceMs, type Tokens } from '../../server/access/tokens.ts'
import { silentLog } from '../../server/lib/log.ts'
import { openDatabase } from '../../server/metadata/database.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { migrateUrl } from '../helpers/registry.ts'
import { watchStatements } from '../helpers/statements.ts'

const lifetimeMs = 300_000
const refused = { code: 'UNAUTHORIZED', message: 'the token is not valid here' }
const app = parseRepositoryName('team/app')
const wish = { name: 'alice', accountId: 7, grants: [{ repository: app, actions: ['pull' as const] }], catalog: false }
const now = () => Math.floor(Date.now() / 1000)

type Algorithm = 'ES256' | 'RS256'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

async function openProcesses(t: Test) {
  const connectionString = await createTestDatabase(t, { migrate: migrateUrl })
  const opened = openDatabase({ connection: { connectionString }, poolSize: 5, log: silentLog })
  t.teardown(() => opened[Symbol.asyncDispose]())
  const { database, taken } = watchStatements(opened)
  /** What a process has of its own. */
  const start = (algorithm: Algorithm = 'ES256', service = 'berth') => {
    const keys = createSigningKeys({
      database,
      algorithm,
      secretKey: 'a key that is long enough',
      tokenMs: 2 * graceMs,
    })
    return { keys, tokens: createTokens({ keys, service, lifetimeMs }) }
  }
  return { start, taken }
}

/** A token signed by the registry's own key, with what this changes. */
async function forge(
  { keys }: { keys: ReturnType<typeof createSigningKeys> },
  { claims = {}, header = {} }: { claims?: Record<string, unknown>; header?: Record<string, unknown> },
): Promise<string> {
  const { id, key } = await keys.current()
  const payload = {
    iss: 'berth',
    aud: 'berth',
    sub: 'alice',
    iat: now(),
    exp: now() + 300,
    access: [{ type: 'repository', name: app, actions: ['pull'] }],
    ...claims,
  }
  return new SignJWT(Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: 'ES256', kid: id, ...header })
    .sign(key)
}

const verify = async (tokens: Tokens, token: string): Promise<Granted> => tokens.verify(token)

for (const algorithm of ['ES256', 'RS256'] as const) {
  t.test(`any process on a database verifies any other one's tokens (${algorithm})`, async t => {
    const { start, taken } = await openProcesses(t)
    const [one, other] = [start(algorithm), start(algorithm)]
    const { token, issuedAt, expiresIn } = await one.tokens.issue({
      ...wish,
      grants: [
        { repository: app, actions: ['pull', 'push'] },
        { repository: parseRepositoryName('admins/own'), actions: ['*'] },
      ],
      catalog: true,
    })
    t.equal(expiresIn, 300)
    const granted = await verify(other.tokens, token)
    t.match(granted, { kind: 'granted', name: 'alice', accountId: 7, grants: { catalog: true } })
    t.same(Object.fromEntries([...granted.grants.repositories].map(([name, actions]) => [name, [...actions]])), {
      'team/app': ['pull', 'push'],
      'admins/own': ['*'],
    })
    t.ok(
      Math.abs(granted.endsAt - issuedAt.getTime() - 300_000) < 32_000,
      'it ends with its life, give or take the clocks',
    )

    taken()
    t.notOk(other.tokens.verify(token) instanceof Promise, 'once seen, it is known at once')
    const second = await one.tokens.issue(wish)
    await verify(other.tokens, second.token)
    t.same(taken(), [], 'a valid token makes no query')
  })
}

t.test('a process takes the tokens of one that signs with another algorithm', async t => {
  const { start } = await openProcesses(t)
  const { token } = await start('RS256').tokens.issue(wish)
  t.match(await verify(start('ES256').tokens, token), { name: 'alice' })
})

t.test('what no one here has signed is refused', async t => {
  const { start } = await openProcesses(t)
  const rsa = start('RS256')
  const { keys, tokens } = start()
  const { token } = await tokens.issue(wish)
  const [header = '', payload = '', signature = ''] = token.split('.')
  const { id } = await keys.current()
  const rsaId = (await rsa.keys.current()).id
  const rsaPublic = await rsa.keys.find(rsaId)
  const stranger = await generateKeyPair('ES256', { extractable: true })
  const changed = encoded({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'admin' })
  const hmac = (head: string, secret: string) =>
    `${head}.${payload}.${createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url')}`
  const bySecret = encoded({ alg: 'HS256', kid: rsaId, typ: 'JWT' })
  const flipped = Buffer.from(signature, 'base64url')
  flipped.writeUInt8(flipped.readUInt8(10) ^ 1, 10)

  const rows: Record<string, string> = {
    'no algorithm': new UnsecuredJWT({
      iss: 'berth',
      aud: 'berth',
      sub: 'alice',
      iat: now(),
      exp: now() + 300,
    }).encode(),
    'no algorithm, with the id of a key': `${encoded({ alg: 'none', kid: id })}.${payload}.`,
    'no algorithm, with the signature left on': `${encoded({ alg: 'none', kid: id })}.${payload}.${signature}`,
    'HS256 by the public key': rsaPublic === undefined ? '' : hmac(bySecret, await exportSPKI(rsaPublic)),
    'HS256 by nothing': hmac(bySecret, ' '),
    'another payload': `${header}.${changed}.${signature}`,
    'another signature': `${header}.${payload}.${flipped.toString('base64url')}`,
    'no signature': `${header}.${payload}.`,
    'the key of another algorithm': `${encoded({ alg: 'RS256', kid: id })}.${payload}.${signature}`,
    "a stranger's key under a known id": await new SignJWT({ sub: 'alice' })
      .setProtectedHeader({ alg: 'ES256', kid: id })
      .setIssuer('berth')
      .setAudience('berth')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(await importPKCS8(await exportPKCS8(stranger.privateKey), 'ES256')),
    'no id of a key': await forge({ keys }, { header: { kid: undefined } }),
    'an unknown id of a key': await forge({ keys }, { header: { kid: 'A'.repeat(43) } }),
    'an id that is no text': await forge({ keys }, { header: { kid: 7 } }),
    'an id with a NUL': await forge({ keys }, { header: { kid: 'a\0b' } }),
    'a key that the token brings along': await forge(
      { keys: { ...keys, current: async () => ({ id, key: stranger.privateKey }) } },
      { header: { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } } },
    ),
    'a header that is critical': await forge({ keys }, { header: { crit: ['berth'], berth: 1 } }).catch(() => 'a.b.c'),
    'no token': 'x',
    nothing: '',
    'three parts of nothing': '..',
    'five parts': `${token}.a.b`,
  }
  for (const [what, text] of Object.entries(rows)) await t.rejects(verify(tokens, text), refused, what)
  t.match(await verify(tokens, token), { name: 'alice' }, 'the real one is good')
})

t.test('claims of another service, another issuer, another time are refused', async t => {
  const { start } = await openProcesses(t)
  const berth = start()
  const { tokens } = berth
  const day = 24 * 3600
  const rows: Record<string, Record<string, unknown>> = {
    'another audience': { aud: 'other' },
    'no audience': { aud: undefined },
    'another issuer': { iss: 'other' },
    'no issuer': { iss: undefined },
    'no end': { exp: undefined },
    'an end that is no number': { exp: 'never' },
    'ended more than a day ago': { iat: now() - 2 * day, exp: now() - day - 60 },
    'issued in the future': { iat: now() + 120 },
    'no time of issue': { iat: undefined },
    'not good before the day after tomorrow': { nbf: now() + 2 * day },
  }
  for (const [what, claims] of Object.entries(rows))
    await t.rejects(verify(tokens, await forge(berth, { claims })), refused, what)
  t.match(await verify(tokens, await forge(berth, { claims: { aud: ['other', 'berth'] } })), { name: 'alice' })
  t.match(await verify(tokens, await forge(berth, { claims: { iat: now() + 10 } })), { name: 'alice' }, 'clocks differ')
  await t.rejects(verify(start('ES256', 'other').tokens, await forge(berth, {})), refused, 'nor is ours good elsewhere')
})

t.test('of a token that has ended it is told when', async t => {
  const { start } = await openProcesses(t)
  const berth = start()
  const ended = await forge(berth, { claims: { iat: now() - 400, exp: now() - 100 } })
  const granted = await verify(berth.tokens, ended)
  t.ok(granted.endsAt < Date.now())
  t.ok(granted.endsAt > Date.now() - 101_000)
  t.equal(await verify(berth.tokens, ended), granted, 'and once more')
})

t.test('claims that are not as they should be grant nothing', async t => {
  const { start } = await openProcesses(t)
  const berth = start()
  const rows: [unknown, Record<string, string[]>][] = [
    [undefined, {}],
    ['all', {}],
    [[null, 7, 'x', []], {}],
    [[{ type: 'repository', name: 'Team/App', actions: ['pull'] }], {}],
    [[{ type: 'repository', name: 7, actions: ['pull'] }], {}],
    [[{ type: 'repository', name: app, actions: 'pull' }], { [app]: [] }],
    [[{ type: 'repository', name: app, actions: ['admin', 7, 'push'] }], { [app]: ['push'] }],
    [[{ type: 'registry', name: app, actions: ['*'] }], {}],
    [
      [
        { type: 'repository', name: app, actions: ['pull'] },
        { type: 'repository', name: app, actions: ['push'] },
      ],
      { [app]: ['pull', 'push'] },
    ],
  ]
  for (const [access, expected] of rows) {
    const token = await forge(berth, { claims: { access, account: 'x' } })
    const { grants, accountId } = await verify(berth.tokens, token)
    t.same(Object.fromEntries([...grants.repositories].map(([name, actions]) => [name, [...actions]])), expected)
    t.equal(grants.catalog, false)
    t.equal(accountId, undefined)
  }
})
