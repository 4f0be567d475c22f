import t from 'tap'
import { createEncryptedPasswords } from '../../server/access/encrypted-passwords.ts'
import { createSecrets } from '../../server/access/secrets.ts'

const key = 'a key that is long enough'

t.test('an encrypted password is opened by every process with the key, and by no other', async t => {
  const passwords = createEncryptedPasswords(key)
  for (const password of ['userpass123', 'x'.repeat(72), 'schlüssel🔑']) {
    const sealed = passwords.seal(password)
    t.match(sealed, /^[A-Za-z0-9+/]+=*$/, 'it fits into every file and header')
    t.notOk(Buffer.from(sealed, 'base64').includes(password))
    t.equal(createEncryptedPasswords(key).open(sealed), password)
    t.equal(createEncryptedPasswords('another key, also long').open(sealed), undefined)
  }
})

t.test('a password that is none of these is left as it is', async t => {
  const passwords = createEncryptedPasswords(key)
  const sealed = passwords.seal('userpass123')
  const texts = [
    '',
    'userpass123',
    'QUJD'.repeat(20),
    `${sealed.slice(0, -4)}AAAA`,
    sealed.slice(4),
    `${sealed} `,
    // Of another purpose, and of another form.
    createSecrets(key, 'tokens').encrypt('{"password":"userpass123"}').toString('base64'),
    createSecrets(key, 'password').encrypt('"userpass123"').toString('base64'),
    createSecrets(key, 'password').encrypt('{"password":1234567890}').toString('base64'),
    createSecrets(key, 'password').encrypt('userpass123 userpass123').toString('base64'),
  ]
  for (const text of texts) t.equal(passwords.open(text), undefined, text)
})
