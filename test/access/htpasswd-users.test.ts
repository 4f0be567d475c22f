import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import { costOf } from '../../server/access/htpasswd.ts'
import { openHtpasswd } from '../../server/access/htpasswd-users.ts'
import { createPasswords, type Passwords } from '../../server/access/passwords.ts'
import { silentLog } from '../../server/lib/log.ts'
import { until } from '../http/connection.ts'

function passwordsFor(t: Test): Passwords {
  const passwords = createPasswords()
  t.teardown(() => passwords[Symbol.asyncDispose]())
  return passwords
}

const line = (name: string, password: string, cost = 4) => `${name}:${hashSync(password, cost)}\n`

t.test('a right password is let in, and known from then on', async t => {
  const path = join(t.testdir({ users: line('alice', 'secret') + line('bob', 'other') }), 'users')
  const users = await openHtpasswd({ path, passwords: passwordsFor(t), log: silentLog })
  t.equal(users.isKnown('alice', 'secret'), false)
  t.equal(await users.verify('alice', 'secret'), true)
  t.equal(users.isKnown('alice', 'secret'), true)
  t.equal(users.isKnown('alice', 'other'), false)
  t.equal(users.isKnown('bob', 'secret'), false)
  for (const [name, password] of [
    ['alice', 'other'],
    ['alice', ''],
    ['bob', 'secret'],
    ['nobody', 'secret'],
    ['', ''],
  ] as const)
    t.equal(await users.verify(name, password), false, `${name}:${password}`)
})

t.test('who is added is let in at once; who is changed or removed is out within a second or two', async t => {
  const path = join(t.testdir({ users: line('alice', 'secret') }), 'users')
  const users = await openHtpasswd({ path, passwords: passwordsFor(t), log: silentLog })
  t.equal(await users.verify('alice', 'secret'), true)
  t.equal(await users.verify('bob', 'new'), false)
  const bob = line('bob', 'new')
  await writeFile(path, bob, { flag: 'a' })
  t.equal(await users.verify('bob', 'new'), true)

  await writeFile(path, line('alice', 'changed') + bob)
  await until(() => !users.isKnown('alice', 'secret'))
  t.equal(await users.verify('alice', 'secret'), false)
  t.equal(await users.verify('alice', 'changed'), true)
  await writeFile(path, bob)
  await until(() => !users.isKnown('alice', 'changed'))
  t.equal(users.isKnown('bob', 'new'), true, 'the others stay known')
})

t.test('an unknown name costs a comparison, with the cost of a hash of the file', async t => {
  const compared: (string | undefined)[] = []
  const passwords: Passwords = {
    hash: async () => '',
    isKnown: () => false,
    async verify(_password, hash) {
      compared.push(hash)
      return true
    },
    [Symbol.asyncDispose]: async () => {},
  }
  const path = join(t.testdir({ users: line('alice', 'a', 7) + line('bob', 'b', 5), empty: '# no one\n' }), 'users')
  const users = await openHtpasswd({ path, passwords, log: silentLog })
  const names = Array.from({ length: 50 }, (_, index) => `nobody-${index}`)
  for (const name of names) t.equal(await users.verify(name, 'x'), false, 'even when the comparison says yes')
  const costs = compared.map(hash => costOf(hash ?? ''))
  t.same(new Set(costs), new Set([5, 7]))
  compared.length = 0
  for (const name of names) await users.verify(name, 'x')
  t.same(
    compared.map(hash => costOf(hash ?? '')),
    costs,
    'the same for a name each time',
  )
  t.equal(await users.verify('alice', 'x'), true)

  compared.length = 0
  const none = await openHtpasswd({ path: join(path, '../empty'), passwords, log: silentLog })
  t.equal(await none.verify('alice', 'x'), false)
  t.equal(costOf(compared[0] ?? ''), 10)
})

t.test('lines that are left out are told in one line of the log', async t => {
  const text = `${line('alice', 'secret')}bob:{SHA}x\ncarol:$apr1$x\nnothing\n`
  const path = join(t.testdir({ users: text }), 'users')
  const lines: unknown[] = []
  const log = { ...silentLog, warn: (...args: unknown[]) => void lines.push(args) }
  await openHtpasswd({ path, passwords: passwordsFor(t), log })
  t.strictSame(lines, [
    [
      {
        file: path,
        lines: 3,
        reasons: '2: not bcrypt; make it with htpasswd -B; 1: no name and hash with a colon between',
      },
      'lines of the htpasswd file left out',
    ],
  ])
})

t.test('a missing file is made with one user, whose password is told once', async t => {
  const path = join(t.testdir(), 'below', 'users')
  const lines: { fields: unknown; message: string | undefined }[] = []
  const log = { ...silentLog, warn: (fields: unknown, message?: string) => void lines.push({ fields, message }) }
  const passwords = passwordsFor(t)
  const users = await openHtpasswd({ path, passwords, log })
  t.match(lines, [
    {
      message: 'htpasswd file was missing and has been made with one user',
      fields: { file: path, user: 'docker', password: /^[\w-]{43}$/ },
    },
  ])
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.match(await readFile(path, 'utf8'), /^docker:\$2[aby]\$10\$\S{53}\n$/)
  const [{ fields } = { fields: {} }] = lines
  t.equal(await users.verify('docker', String(Reflect.get(Object(fields), 'password'))), true)
  const before = await readFile(path, 'utf8')
  await openHtpasswd({ path, passwords, log })
  t.equal(await readFile(path, 'utf8'), before)
  t.equal(lines.length, 1)
})

t.test('a file that can be neither read nor made is told with what to do', async t => {
  const folder = t.testdir({ file: '' })
  const passwords = passwordsFor(t)
  const open = (path: string) => openHtpasswd({ path, passwords, log: silentLog })
  await t.rejects(open(folder), { message: /^auth\.htpasswd\.path: the file \S+ can not be read \(EISDIR/ })
  await t.rejects(open(join(folder, 'file', 'users')), { message: /^auth\.htpasswd\.path: the file .*ENOTDIR/ })
  await t.rejects(open('/sys/none/users'), {
    message:
      /^auth\.htpasswd\.path: there is no file \S+, and none can be made \(.+\): correct the path, or make it by/,
  })
})
