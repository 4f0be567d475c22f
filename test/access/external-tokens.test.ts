import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import type { Granted } from '../../server/access/actor.ts'
import { fingerprintOf, openExternalKeys } from '../../server/access/external-keys.ts'
import { createExternalTokens } from '../../server/access/external-tokens.ts'
import { silentLog } from '../../server/lib/log.ts'
import { until } from '../http/connection.ts'
import { accessTo, createSigner, issuer, service, signToken, tamper } from './token-service.ts'

const folder = t.testdir()
const root = await createSigner(folder, 'root', { authority: true, algorithm: 'RS256' })
const leaf = await createSigner(folder, 'leaf', { by: root })
const keys = openExternalKeys({ rootcertbundle: root.file, jwks: undefined, log: silentLog })
const tokens = createExternalTokens({ keys, issuer, service, algorithms: [] })
const kid = fingerprintOf(root.certificate.publicKey)
const now = () => Math.floor(Date.now() / 1000)
const refusal = { code: 'UNAUTHORIZED', status: 401, message: 'the token is not valid here' }

t.test('a good token tells its bearer, what it is good for and until when', async t => {
  const exp = now() + 100
  const access = [accessTo('a', 'pull'), { type: 'registry', name: 'catalog', actions: ['*'] }]
  const actor = await tokens.verify(await signToken(root, { header: { kid }, claims: { exp }, access }))
  t.match(actor, { kind: 'granted', name: 'alice', accountId: undefined, endsAt: (exp + 60) * 1000 })
  t.strictSame(
    [...actor.grants.repositories].map(([name, actions]) => [name, [...actions]]),
    [['a', ['pull']]],
  )
  t.equal(actor.grants.catalog, true)
})

t.test('tokens are signed by a chain, by a key of the bundle, for one service or for several', async t => {
  t.match(await tokens.verify(await signToken(leaf, { header: { x5c: [leaf.der] } })), { name: 'alice' })
  t.match(await tokens.verify(await signToken(root, { header: { kid, alg: 'RS512' } })), { name: 'alice' })
  t.match(await tokens.verify(await signToken(root, { header: { kid, alg: 'PS256' } })), { name: 'alice' })
  for (const aud of [service, [service], ['other', service]])
    t.match(await tokens.verify(await signToken(root, { header: { kid }, claims: { aud } })), { name: 'alice' })
  t.match(await tokens.verify(await signToken(root, { header: { kid }, claims: { sub: undefined, nbf: undefined } })), {
    name: '',
  })
})

t.test('every other token is refused', async t => {
  const stranger = await createSigner(t.testdir(), 'stranger', { algorithm: 'RS256' })
  const good = await signToken(root, { header: { kid }, access: [accessTo('a', 'pull')] })
  const claims = { iss: issuer, aud: service, exp: now() + 300, access: [accessTo('a', 'pull')] }
  const secret = new TextEncoder().encode(root.certificate.publicKey.export({ type: 'spki', format: 'pem' }).toString())
  const withClaims = (more: Record<string, unknown>) => signToken(root, { header: { kid }, claims: more })
  const [head = '', body = '', signature = ''] = good.split('.')
  const table: Record<string, string> = {
    nothing: '',
    'a word': 'token',
    'three words': 'a.b.c',
    'another payload': tamper(good, 'payload', { sub: 'bob' }),
    'another header': tamper(good, 'header', { alg: 'RS512' }),
    'the algorithm none in its header': tamper(good, 'header', { alg: 'none' }),
    'no signature': `${head}.${body}.`,
    'a signature that is cut off': `${head}.${body}.${signature.slice(0, -4)}`,
    'no algorithm': new UnsecuredJWT(claims).encode(),
    'the public key as a secret': await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid }).sign(secret),
    'no id of a key': await signToken(root, {}),
    "a stranger's key under our id": await signToken(stranger, { header: { kid } }),
    "a stranger's own key": await signToken(stranger, {
      header: { jwk: stranger.certificate.publicKey.export({ format: 'jwk' }) },
    }),
    "a stranger's own key under our id": await signToken(stranger, {
      header: { jwk: { ...stranger.certificate.publicKey.export({ format: 'jwk' }), kid }, kid },
    }),
    "a stranger's certificate": await signToken(stranger, { header: { x5c: [stranger.der] } }),
    "our certificate over a stranger's signature": await signToken(stranger, { header: { x5c: [root.der] } }),
    'a key that is none': await signToken(root, { header: { jwk: { kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }, kid } }),
    'a part of the header that has to be understood': await new SignJWT(claims)
      .setProtectedHeader({ alg: 'RS256', kid, crit: ['strange'], strange: 1 })
      .sign(root.key, { crit: { strange: true } }),
    'another issuer': await withClaims({ iss: 'other' }),
    'no issuer': await withClaims({ iss: undefined }),
    'another audience': await withClaims({ aud: 'other' }),
    'other audiences': await withClaims({ aud: ['other', `${service}.x`] }),
    'no audience': await withClaims({ aud: undefined }),
    'no end': await withClaims({ exp: undefined }),
    'an end that is no number': await withClaims({ exp: 'later' }),
    'an end of the day before yesterday': await withClaims({ exp: now() - 2 * 24 * 3600 }),
    'a beginning in two minutes': await withClaims({ nbf: now() + 120 }),
    'a beginning that is no number': await withClaims({ nbf: 'soon' }),
  }
  for (const [why, token] of Object.entries(table)) await t.rejects(async () => tokens.verify(token), refusal, why)
  t.match(await tokens.verify(good), { name: 'alice' }, 'and the good one is good')
})

/** Who has a token with these claims. */
const of = async (claims: Record<string, unknown>) => tokens.verify(await signToken(root, { header: { kid }, claims }))

t.test('clocks may differ by a minute', async t => {
  t.ok((await of({ exp: now() - 50 })).endsAt > Date.now())
  t.ok((await of({ exp: now() - 70 })).endsAt < Date.now(), 'it has ended, and uploads alone go on with it')
  t.match(await of({ nbf: now() + 50 }), { name: 'alice' })
})

t.test('only the algorithms of the configuration are taken', async t => {
  const strict = createExternalTokens({ keys, issuer, service, algorithms: ['ES256'] })
  t.match(await strict.verify(await signToken(leaf, { header: { x5c: [leaf.der] } })), { name: 'alice' })
  await t.rejects(async () => strict.verify(await signToken(root, { header: { kid } })), refusal)
})

t.test('a token that was seen before takes no promise, until the keys change', async t => {
  const file = join(t.testdir(), 'keys.json')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const write = (id: string) =>
    writeFile(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: id }] }))
  await write('one')
  const tokens = createExternalTokens({
    keys: openExternalKeys({ rootcertbundle: undefined, jwks: file, log: silentLog }),
    issuer,
    service,
    algorithms: [],
  })
  const token = await signToken({ key: privateKey, algorithm: 'ES256' }, { header: { kid: 'one' } })
  t.ok(tokens.verify(token) instanceof Promise)
  await until(() => !(tokens.verify(token) instanceof Promise))
  t.match(tokens.verify(token), { kind: 'granted', name: 'alice' })
  await write('two')
  let last: Granted | Promise<Granted> = tokens.verify(token)
  await until(() => (last = tokens.verify(token)) instanceof Promise)
  await t.rejects(Promise.resolve(last), refusal)
})
