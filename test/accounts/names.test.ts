import t from 'tap'
import {
  checkEmail,
  checkPassword,
  isNamespaceName,
  parseNewNamespaceName,
  parseRobotShortName,
  parseTeamName,
  repositoriesOf,
  splitRobotName,
} from '../../server/accounts/names.ts'
import { isRepositoryName } from '../../server/oci/repository-name.ts'

const refused = { name: 'AccountError', kind: 'invalid_request' }

t.test('a user or an organization has a name that a repository can begin with', async t => {
  for (const name of ['ab', '12', 'dev-team', 'a.b', 'a_b', 'a-b.c_d', 'a'.repeat(255)]) {
    t.equal(parseNewNamespaceName(name), name)
    t.ok(isRepositoryName(name.length < 250 ? `${name}/app` : name))
  }
})

t.test('other names are refused: too short, too long, letters and signs that no path has', async t => {
  const wrong = [
    '',
    'a',
    'a'.repeat(256),
    'Dev',
    'a b',
    'a/b',
    'a+b',
    '-a',
    'a-',
    'a--b',
    'a..b',
    'a_-b',
    'é1',
    '$app',
    'a\n',
    'a\0b',
  ]
  for (const name of wrong) {
    t.notOk(isNamespaceName(name), JSON.stringify(name))
    t.throws(() => parseNewNamespaceName(name), refused)
  }
})

t.test('names that mean something else are no one’s', async t => {
  for (const name of ['library', 'api', 'v1', 'v2', 'auth'])
    t.throws(() => parseNewNamespaceName(name), { ...refused, message: `The name ${name} is reserved` })
})

t.test('a refusal does not repeat a long name in full', async t => {
  t.throws(() => parseNewNamespaceName('A'.repeat(10_000)), { message: /^.{0,500}$/ })
})

t.test('a password has 8 characters and no white space, and not more than bcrypt looks at', async t => {
  for (const password of ['12345678', 'päßwörter', 'x'.repeat(72), 'emoji🦆🦆🦆'])
    t.doesNotThrow(() => checkPassword(password))
  const weak = 'Invalid password, password must be at least 8 characters and contain no whitespace.'
  for (const password of ['', '1234567', 'with space', 'tab\tinside', 'newline\n', 'no\u00a0break', '        '])
    t.throws(() => checkPassword(password), { ...refused, message: weak })
  for (const password of ['x'.repeat(73), 'ä'.repeat(37)])
    t.throws(() => checkPassword(password), {
      ...refused,
      message: 'Invalid password, password must have at most 72 bytes.',
    })
})

t.test('an e-mail address has an @ and a domain', async t => {
  for (const email of ['a@b.c', 'first.last+tag@example.co.uk']) t.doesNotThrow(() => checkEmail(email))
  for (const email of ['', 'a', 'a@b', '@b.c', 'a b@c.d', 'a@b@c.d', `${'a'.repeat(251)}@b.c`, 'a\0@b.c'])
    t.throws(() => checkEmail(email), refused)
})

t.test('robots and teams are called by the same rule', async t => {
  for (const parse of [parseRobotShortName, parseTeamName]) {
    t.equal(parse('ci_runner-2.x'), 'ci_runner-2.x')
    for (const name of ['', 'a', 'Ab', 'a+b', 'a b', 'a--b', 'a'.repeat(256)]) t.throws(() => parse(name), refused)
  }
})

t.test('the name of a robot is its namespace’s and its own', async t => {
  t.strictSame(splitRobotName('team+ci'), { namespace: 'team', short: 'ci' })
  t.equal(splitRobotName('team'), undefined)
  t.equal(splitRobotName('+ci'), undefined)
})

t.test('repositories are told by their namespace; those of one component are in library', async t => {
  const ofTeam = repositoriesOf('team')
  t.ok(ofTeam('team/app'))
  t.ok(ofTeam('team/app/base'))
  t.notOk(ofTeam('teams/app'))
  t.notOk(ofTeam('team'))
  t.ok(repositoriesOf('library')('nginx'))
  t.ok(repositoriesOf('library')('library/nginx'))
})
