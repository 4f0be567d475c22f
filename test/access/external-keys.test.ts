import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { calculateJwkThumbprint } from 'jose'
import t from 'tap'
import { run } from '../../conformance/process.ts'
import { fingerprintOf, openExternalKeys } from '../../server/access/external-keys.ts'
import { silentLog } from '../../server/lib/log.ts'
import { until } from '../http/connection.ts'
import { createSigner } from './token-service.ts'

const folder = t.testdir()
const root = await createSigner(folder, 'root', { authority: true, algorithm: 'RS256' })
const leaf = await createSigner(folder, 'leaf', { by: root })
const rootKey = root.certificate.publicKey

const publicJwk = (key: KeyObject) => key.export({ format: 'jwk' })
const listed = { ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }), ed: generateKeyPairSync('ed25519') }
const jwks = join(folder, 'jwks.json')
await writeFile(
  jwks,
  JSON.stringify({
    keys: [
      { ...publicJwk(listed.ec.publicKey), kid: 'first', alg: 'ES256' },
      { ...publicJwk(listed.ed.publicKey) },
      { kty: 'oct', k: 'AAAA', use: 'enc', kid: 'not for signatures' },
    ],
  }),
)
const keys = openExternalKeys({ rootcertbundle: root.file, jwks, log: silentLog })

const find = async (header: Record<string, unknown>) => {
  const found = await keys.current().find({ alg: 'RS256', ...header })
  return found?.export({ type: 'spki', format: 'der' }).toString('base64')
}
const name = (key: KeyObject) =>
  createPublicKey(key.export({ type: 'spki', format: 'pem' }))
    .export({ type: 'spki', format: 'der' })
    .toString('base64')

t.test("libtrust's fingerprint is what openssl and base32 make of the key", async t => {
  const pipeline = `openssl x509 -in ${root.file} -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | head -c 30 | base32 -w 4 | paste -sd :`
  const { stdout } = await run('sh', ['-c', pipeline])
  t.equal(fingerprintOf(rootKey), stdout.trim())
  t.match(fingerprintOf(rootKey), /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/)
})

t.test('a key of the bundle is found by its thumbprint and by its fingerprint', async t => {
  t.equal(await find({ kid: fingerprintOf(rootKey) }), name(rootKey))
  t.equal(await find({ kid: await calculateJwkThumbprint(publicJwk(rootKey)) }), name(rootKey))
})

t.test('a key of the set is found by its id, and by its thumbprint and fingerprint too', async t => {
  t.equal(await find({ kid: 'first', alg: 'ES256' }), name(listed.ec.publicKey))
  t.equal(
    await find({ kid: await calculateJwkThumbprint(publicJwk(listed.ed.publicKey)), alg: 'EdDSA' }),
    name(listed.ed.publicKey),
  )
  t.equal(await find({ kid: fingerprintOf(listed.ec.publicKey), alg: 'ES256' }), name(listed.ec.publicKey))
  t.equal(await find({ kid: 'first', alg: 'ES384' }), undefined, 'for its own algorithm alone')
  t.equal(await find({ kid: 'not for signatures' }), undefined)
})

t.test('a chain up to the bundle gives the key of its first certificate', async t => {
  t.equal(await find({ x5c: [leaf.der] }), name(leaf.certificate.publicKey))
  const foreign = await createSigner(t.testdir(), 'foreign')
  t.equal(await find({ x5c: [foreign.der] }), undefined)
  t.equal(await find({ x5c: 'x' }), undefined)
  t.equal(await find({ x5c: [1] }), undefined)
  t.equal(await find({ x5c: [foreign.der], kid: fingerprintOf(rootKey) }), name(rootKey), 'then by the id')
})

t.test('a key that a token has in it counts when it is one that is trusted, whatever it is called', async t => {
  t.equal(await find({ jwk: publicJwk(rootKey) }), name(rootKey))
  t.equal(
    await find({ jwk: { ...publicJwk(listed.ec.publicKey), kid: 'other' }, alg: 'ES256' }),
    name(listed.ec.publicKey),
  )
  const own = publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
  t.equal(await find({ jwk: { ...own, kid: 'first' }, alg: 'ES256' }), undefined)
  t.equal(await find({ jwk: { ...own, kid: fingerprintOf(rootKey) } }), undefined)
})

t.test('without anything to go by, no key is found', async t => {
  t.equal(await find({}), undefined)
  t.equal(await find({ kid: '' }), undefined)
  t.equal(await find({ kid: 'unknown' }), undefined)
})

t.test('files that have changed are read again', async t => {
  const file = join(t.testdir(), 'keys.json')
  const write = (id: string) =>
    writeFile(file, JSON.stringify({ keys: [{ ...publicJwk(listed.ec.publicKey), kid: id }] }))
  await write('one')
  const keys = openExternalKeys({ rootcertbundle: undefined, jwks: file, log: silentLog })
  const before = keys.current()
  t.equal(keys.current(), before)
  t.ok(await before.find({ alg: 'ES256', kid: 'one' }))
  await write('two')
  await until(() => keys.current() !== before)
  t.notOk(await keys.current().find({ alg: 'ES256', kid: 'one' }))
  t.ok(await keys.current().find({ alg: 'ES256', kid: 'two' }))
})

const open = (options: { rootcertbundle?: string; jwks?: string }) => () =>
  openExternalKeys({ rootcertbundle: options.rootcertbundle, jwks: options.jwks, log: silentLog })

t.test('what keeps the keys from being read is one sentence', async t => {
  const folder = t.testdir({
    'text.json': 'no json',
    'list.json': '[]',
    'empty.json': '{"keys": []}',
    'secret.json': '{"keys": [{"kty": "oct", "k": "AAAA"}]}',
    'bad.json': '{"keys": [{"kty": "EC", "crv": "P-256", "x": "a", "y": "b"}]}',
    'none.pem': 'no certificate',
  })
  const set = (file: string) => open({ jwks: join(folder, file) })
  t.throws(open({}), {
    message: /^auth\.token: there is no key to verify tokens with: give rootcertbundle, .* or jwks/,
  })
  t.throws(open({ rootcertbundle: join(folder, 'none.pem') }), {
    message: /^auth\.token\.rootcertbundle: the file \S+ can not be used: there is no certificate in it/,
  })
  t.throws(open({ rootcertbundle: join(folder, 'missing.pem') }), {
    message: /^auth\.token\.rootcertbundle: the file \S+ can not be read \(ENOENT.*\): correct the path/,
  })
  t.throws(set('text.json'), { message: /^auth\.token\.jwks: the file \S+ can not be used: it is not JSON/ })
  t.throws(set('list.json'), { message: /it is no JSON Web Key Set/ })
  t.throws(set('empty.json'), { message: /there is no key for signatures in it/ })
  t.throws(set('secret.json'), { message: /key 1 in it is none that a signature can be verified with/ })
  t.throws(set('bad.json'), { message: /key 1 in it is none that a signature can be verified with/ })
  t.match(await readFile(jwks, 'utf8'), /keys/)
})
