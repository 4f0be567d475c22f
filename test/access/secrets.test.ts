import t from 'tap'
import { createSecrets, hashOf, isSame, randomSecret } from '../../server/access/secrets.ts'

const key = 'a key that is long enough'

t.test('what was encrypted comes back, and looks different each time', async t => {
  const secrets = createSecrets(key, 'tokens')
  for (const text of ['', 'x', 'schlüssel 🔑', 'y'.repeat(10_000)]) {
    const sealed = secrets.encrypt(text)
    t.equal(secrets.decrypt(sealed), text)
    t.notSame(secrets.encrypt(text), sealed)
    if (text.length > 5) t.notOk(sealed.includes(text))
    t.equal(createSecrets(key, 'tokens').decrypt(sealed), text, 'another process with the same key reads it')
  }
})

t.test('another key, another purpose, and what was changed are refused with what to do', async t => {
  const sealed = createSecrets(key, 'tokens').encrypt('secret')
  const advice = /set auth.accounts.secretkey as it was/
  t.throws(() => createSecrets('another key, also long', 'tokens').decrypt(sealed), advice)
  t.throws(() => createSecrets(key, 'password').decrypt(sealed), advice)
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    t.throws(() => createSecrets(key, 'tokens').decrypt(changed), advice, `byte ${at}`)
  }
  for (let length = 0; length < sealed.length; length++)
    t.throws(() => createSecrets(key, 'tokens').decrypt(sealed.subarray(0, length)), advice, `${length} bytes`)
})

t.test('drawn secrets have capital letters and digits, and are never the same', async t => {
  const drawn = Array.from({ length: 1000 }, () => randomSecret(20))
  t.equal(new Set(drawn).size, 1000)
  t.ok(drawn.every(secret => /^[A-Z0-9]{20}$/.test(secret)))
  t.equal(new Set(drawn.join('')).size, 36, 'every one of them')
  t.equal(randomSecret(64).length, 64)
})

t.test('hashes are SHA-256, and secrets are compared by them', async t => {
  t.equal(hashOf('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  t.ok(isSame('secret', 'secret'))
  t.notOk(isSame('secret', 'secret '))
  t.notOk(isSame('', 'secret'))
})
