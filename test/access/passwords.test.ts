import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import { createPasswords, type Passwords } from '../../server/access/passwords.ts'

function passwordsOf(t: Test): Passwords {
  const passwords = createPasswords()
  t.teardown(() => passwords[Symbol.asyncDispose]())
  return passwords
}

/** Milliseconds. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

t.test('a password has its hash, and no other', async t => {
  const passwords = passwordsOf(t)
  const hash = await passwords.hash('userpass123')
  t.match(hash, /^\$2[aby]\$10\$.{53}$/)
  t.not(await passwords.hash('userpass123'), hash, 'each has a salt of its own')
  t.equal(await passwords.verify('userpass123', hash), true)
  t.equal(await passwords.verify('userpass124', hash), false)
  t.equal(await passwords.verify('', hash), false)
  t.equal(await passwords.verify('userpass123', undefined), false)
  t.equal(await passwords.verify('userpass123', 'no hash of bcrypt'), false)
  const other = hashSync('userpass123', 4).replace(/^\$2[aby]/, '$2y')
  t.equal(await passwords.verify('userpass123', other), true, 'as htpasswd and PHP write it')
})

t.test('a right pair is remembered and costs nothing more, until the hash is another one', async t => {
  const passwords = passwordsOf(t)
  const hash = await passwords.hash('userpass123')
  t.notOk(passwords.isKnown('userpass123', hash))
  const first = await timeOf(() => passwords.verify('userpass123', hash))
  t.ok(passwords.isKnown('userpass123', hash))
  const again = await timeOf(() => passwords.verify('userpass123', hash))
  t.ok(again < first / 5, `${first} ms, then ${again} ms`)

  const changed = await passwords.hash('newpass12345')
  t.notOk(passwords.isKnown('userpass123', changed))
  t.equal(await passwords.verify('userpass123', changed), false)
  t.notOk(passwordsOf(t).isKnown('userpass123', hash), 'another process knows nothing of it')
})

t.test('a wrong pair is not remembered', async t => {
  const passwords = passwordsOf(t)
  const hash = await passwords.hash('userpass123')
  await passwords.verify('wrongpass123', hash)
  t.notOk(passwords.isKnown('wrongpass123', hash))
  t.notOk(passwords.isKnown('userpass123', hash))
})

t.test('the same pair at once is computed once', async t => {
  const passwords = passwordsOf(t)
  const [hash, second] = [await passwords.hash('userpass123'), await passwords.hash('userpass123')]
  const one = await timeOf(() => passwords.verify('userpass123', hash))
  const ten = await timeOf(async () => {
    const found = await Promise.all(Array.from({ length: 10 }, () => passwords.verify('userpass123', second)))
    t.ok(found.every(right => right))
  })
  t.ok(ten < one * 4, `one takes ${one} ms, ten at once ${ten} ms`)
  const wrong = await timeOf(async () => {
    const found = await Promise.all(Array.from({ length: 10 }, () => passwords.verify('wrongpass123', second)))
    t.notOk(found.some(right => right))
  })
  t.ok(wrong < one * 4, `one takes ${one} ms, ten wrong ones at once ${wrong} ms`)
})

t.test('an unknown user takes as long as a wrong password', async t => {
  const passwords = passwordsOf(t)
  const hash = await passwords.hash('userpass123')
  const times: Record<'wrong' | 'unknown', number[]> = { wrong: [], unknown: [] }
  for (let at = 0; at < 7; at++) {
    times.wrong.push(await timeOf(() => passwords.verify(`wrongpass${at}`, hash)))
    times.unknown.push(await timeOf(() => passwords.verify(`wrongpass${at}`, undefined)))
  }
  const [wrong, unknown] = [least(times.wrong), least(times.unknown)]
  t.ok(wrong > 5, 'and that is not nothing')
  t.ok(unknown > wrong * 0.7 && unknown < wrong * 1.4, `wrong ${wrong} ms, unknown ${unknown} ms`)
})

t.test('who comes when too many wait is told to come back, and all goes on after that', async t => {
  const passwords = passwordsOf(t)
  const outcomes = await Promise.allSettled(
    Array.from({ length: 210 }, (_, at) =>
      passwords.verify(`wrong ${at}`, '$2b$04$abcdefghijklmnopqrstuu'.padEnd(60, '.')),
    ),
  )
  const refused = outcomes.filter(({ status }) => status === 'rejected')
  t.ok(refused.length > 0 && refused.length < 15, `${refused.length} were refused`)
  for (const outcome of refused)
    if (outcome.status === 'rejected') t.match(outcome.reason, { code: 'UNAVAILABLE', headers: { 'retry-after': '5' } })
  t.equal(await passwords.verify('x', undefined), false)
})

/** The one that the machine disturbed least. */
function least(times: readonly number[]): number {
  return Math.min(...times)
}
