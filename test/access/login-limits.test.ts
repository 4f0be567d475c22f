import t from 'tap'
import { createLoginLimits, type LoginLimits } from '../../server/access/login-limits.ts'

const wrong = async () => false
const right = async () => true
const tooMany = { code: 'TOOMANYREQUESTS', status: 429, headers: { 'retry-after': /^\d+$/ } }

async function fail(limits: LoginLimits, name: string, address: string, times: number): Promise<void> {
  for (let at = 0; at < times; at++) t.equal(await limits.attempt(name, address, wrong), false)
}

t.test('after five failures a name has to wait, at that address', async t => {
  const limits = createLoginLimits()
  await fail(limits, 'alice', '192.0.2.1', 5)
  const refused = limits.attempt('alice', '192.0.2.1', async () => t.fail('nothing is tried while one has to wait'))
  await t.rejects(refused, { ...tooMany, headers: { 'retry-after': '1' } })
  await t.rejects(limits.check('alice', '192.0.2.1'), tooMany)

  t.equal(await limits.attempt('alice', '192.0.2.2', right), true, 'she herself comes from elsewhere')
  t.equal(await limits.attempt('bob', '192.0.2.1', right), true, 'and others come from there')
})

t.test('each failure more doubles the time, up to a minute', async t => {
  const limits = createLoginLimits()
  const waits: number[] = []
  for (let at = 0; at < 13; at++) {
    await limits.failed('alice', '192.0.2.1')
    waits.push(
      await limits.check('alice', '192.0.2.1').then(
        () => 0,
        (error: unknown) => Number(Object(error).headers['retry-after']),
      ),
    )
  }
  t.same(waits, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60])
})

t.test('the right password makes the failures before it forgotten', async t => {
  const limits = createLoginLimits()
  for (let round = 0; round < 5; round++) {
    await fail(limits, 'alice', '192.0.2.1', 4)
    t.equal(await limits.attempt('alice', '192.0.2.1', right), true)
  }
})

t.test('an address from which many names fail has to wait with all of them', async t => {
  const limits = createLoginLimits()
  for (let at = 0; at < 50; at++) await fail(limits, `user${at}`, '192.0.2.1', 1)
  await t.rejects(limits.attempt('alice', '192.0.2.1', right), tooMany)
  t.equal(await limits.attempt('alice', '192.0.2.2', right), true)
})

t.test('IPv6 is counted by networks of 64 bits, and IPv4 inside of it as what it is', async t => {
  const same: [string, string][] = [
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8:0:2::1', '2001:0db8::2:0:0:0:7'],
    ['::1', '0:0:0:0:0:0:0:2'],
    ['192.0.2.1', '::ffff:192.0.2.1'],
  ]
  for (const [one, other] of same) {
    const limits = createLoginLimits()
    await fail(limits, 'alice', one, 5)
    await t.rejects(limits.check('alice', other), tooMany, `${one} and ${other}`)
  }
  const limits = createLoginLimits()
  await fail(limits, 'alice', '2001:db8:1:2::1', 5)
  await limits.check('alice', '2001:db8:1:3::1')
  await fail(limits, 'alice', '::ffff:192.0.2.1', 5)
  await limits.check('alice', '::ffff:192.0.2.2')
  t.pass('but neighbours are others')
})

t.test('guesses that come at once are tried one after another, and end when the name has to wait', async t => {
  const limits = createLoginLimits()
  let tried = 0
  let atOnce = 0
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, () =>
      limits.attempt('alice', '192.0.2.1', async () => {
        tried++
        atOnce++
        await new Promise(setImmediate)
        t.equal(atOnce--, 1)
        return false
      }),
    ),
  )
  t.equal(tried, 5)
  t.equal(outcomes.filter(({ status }) => status === 'rejected').length, 45)
})

t.test('one address can not take all the places of those who wait', async t => {
  const limits = createLoginLimits()
  const { promise: held, resolve } = Promise.withResolvers<boolean>()
  const waiting = Array.from({ length: 100 }, (_, at) => limits.attempt(`user${at}`, '192.0.2.1', () => held))
  await t.rejects(limits.attempt('alice', '192.0.2.1', right), tooMany)
  t.equal(await limits.attempt('alice', '192.0.2.2', right), true)
  resolve(true)
  t.ok((await Promise.all(waiting)).every(outcome => outcome))
  t.equal(await limits.attempt('alice', '192.0.2.1', right), true)
})

t.test('what goes wrong with the trying counts as no failure, and keeps no one out', async t => {
  const limits = createLoginLimits()
  for (let at = 0; at < 10; at++)
    await t.rejects(
      limits.attempt('alice', '192.0.2.1', () => Promise.reject(new Error('the database is away'))),
      {
        message: 'the database is away',
      },
    )
  t.equal(await limits.attempt('alice', '192.0.2.1', right), true)
})
