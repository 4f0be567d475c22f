import t from 'tap'
import { costOf, isWholeHtpasswd, parseHtpasswd } from '../../server/access/htpasswd.ts'

const hash = (cost = '05') => `$2y$${cost}$${'a'.repeat(53)}`

t.test('lines of a name and a bcrypt hash count, of each of its versions', async t => {
  const text = ['a', 'b', 'y'].map(letter => `user-${letter}:$2${letter}$10$${'./Az09'.padEnd(53, 'x')}`).join('\n')
  const { users, leftOut } = parseHtpasswd(text)
  t.same([...users.keys()], ['user-a', 'user-b', 'user-y'])
  t.equal(users.get('user-a'), `$2a$10$${'./Az09'.padEnd(53, 'x')}`)
  t.equal(leftOut.size, 0)
})

t.test('comments, blank lines, spaces around and line ends of Windows mean nothing', async t => {
  const { users, leftOut } = parseHtpasswd(`\uFEFF# users\r\n\r\n  alice:${hash()}  \r\n\t# bob:${hash()}\n`)
  t.same([...users], [['alice', hash()]])
  t.equal(leftOut.size, 0)
})

t.test('every other line is left out, and counted by the reason', async t => {
  const { users, leftOut } = parseHtpasswd(
    [
      'md5:$apr1$x$y',
      'sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
      'plain:password',
      'none:',
      `short:${hash().slice(0, -1)}`,
      `long:${hash()}a`,
      `x:$2x$05$${'a'.repeat(53)}`,
      `high:${hash('31')}`,
      `low:${hash('03')}`,
      'no colon',
      `:${hash()}`,
    ].join('\n'),
  )
  t.equal(users.size, 0)
  t.same(Object.fromEntries(leftOut), {
    'not bcrypt; make it with htpasswd -B': 7,
    'a cost of bcrypt that is not from 4 to 16': 2,
    'no name and hash with a colon between': 2,
  })
})

t.test('of two lines for a name the last one counts, also when it is of no use', async t => {
  t.equal(parseHtpasswd(`a:${hash('05')}\na:${hash('06')}\n`).users.get('a'), hash('06'))
  t.equal(parseHtpasswd(`a:${hash()}\na:{SHA}x\n`).users.has('a'), false)
})

t.test('a text that may be cut off is told from one that can not be', async t => {
  const line = `alice:${hash()}`
  for (const whole of [`${line}\n`, line, `${line}\n# end`, `${line}\n  `, `x:y\n`])
    t.equal(isWholeHtpasswd(whole), true)
  for (let length = 0; length < line.length; length++) t.equal(isWholeHtpasswd(line.slice(0, length)), false)
  t.equal(isWholeHtpasswd(`${line}\nbob`), false)
  t.equal(isWholeHtpasswd(`${line}\nbob:$2y$05$abc`), false)
})

t.test('the cost of a hash is read from it', async t => {
  t.equal(costOf(hash('12')), 12)
  t.ok(Number.isNaN(costOf('{SHA}x')))
})
