import t from 'tap'
import { parseAccessFile } from '../../server/access/access-rules-file.ts'

/** The mistakes in a text, as they are told. */
function mistakesIn(text: string): string[] {
  try {
    parseAccessFile(text)
    return []
  } catch (error) {
    return error instanceof Error
      ? error.message.split('; line ').map((part, at) => (at > 0 ? `line ${part}` : part))
      : []
  }
}

/** A rule with this in the place of one of its lines. */
const rule = ({ who = 'anonymous: true', repositories = 'a', actions = 'pull' } = {}) =>
  `rules:\n  - ${who}\n    repositories: ${repositories}\n    actions: ${actions}\n`

t.test('groups and rules are read, with one text where there is no need for a list', async t => {
  const { rules, groupsOf } = parseAccessFile(`
# who is what
groups:
  developers: [alice, bob]
  operators: bob
  machines: []
rules:
  - anonymous: true
    repositories: public/**
    actions: pull
  - authenticated: true
    groups: [machines]
    users: [007, carol]
    repositories: ['**', "x"]
    actions: ['*']
`)
  t.strictSame(
    [...groupsOf],
    [
      ['alice', new Set(['developers'])],
      ['bob', new Set(['developers', 'operators'])],
    ],
  )
  const [first, second] = rules
  t.match(first, { anonymous: true, authenticated: false, everywhere: false })
  t.strictSame([first?.actions, first?.users, first?.groups], [new Set(['pull']), new Set(), new Set()])
  t.match(second, { anonymous: false, authenticated: true, everywhere: true })
  t.strictSame(second?.actions, new Set(['pull', 'push', 'delete']))
  t.strictSame([second?.users, second?.groups], [new Set(['007', 'carol']), new Set(['machines'])])
})

t.test('a list may be written once and referred to', async t => {
  const text = 'groups: {a: &list [x, y], b: *list}\nrules: []\n'
  t.strictSame(parseAccessFile(text).groupsOf.get('x'), new Set(['a', 'b']))
})

t.test('patterns match whole names, component by component', async t => {
  const table: Record<string, { yes: string[]; no: string[] }> = {
    'team/app': { yes: ['team/app'], no: ['team/app2', 'team/app/x', 'x/team/app', 'team'] },
    'team/*': { yes: ['team/a', 'team/a-b.c_d'], no: ['team', 'team/a/b', 'teams/a'] },
    'team/**': { yes: ['team/a', 'team/a/b'], no: ['team', 'teams/a', 'x/team/a'] },
    '*': { yes: ['a'], no: ['a/b'] },
    '**': { yes: ['a', 'a/b/c'], no: [] },
    '**/base': { yes: ['base', 'a/base', 'a/b/base'], no: ['abase', 'base/a'] },
    'a/*/c': { yes: ['a/b/c'], no: ['a/c', 'a/b/b/c'] },
    'a/**/c': { yes: ['a/c', 'a/b/c', 'a/b/b/c'], no: ['a/cc', 'a/b/cc'] },
    '{a,b}/c': { yes: ['a/c', 'b/c'], no: ['c/c', 'a', 'a/c/c'] },
    'release-[0-9]': { yes: ['release-1'], no: ['release-12', 'release-x'] },
    'a?': { yes: ['ab'], no: ['a', 'a/'] },
    'a.b': { yes: ['a.b'], no: ['axb'] },
  }
  for (const [pattern, { yes, no }] of Object.entries(table)) {
    const [found] = parseAccessFile(rule({ repositories: JSON.stringify(pattern) })).rules
    for (const name of yes) t.equal(found?.matches(name), true, `${pattern} ${name}`)
    for (const name of no) t.equal(found?.matches(name), false, `${pattern} not ${name}`)
  }
})

t.test('each mistake is one sentence with its line', async t => {
  const table: [string, ...(string | RegExp)[]][] = [
    ['', 'line 1: the file has to be a map of keys'],
    ['- a\n', 'line 1: the file has to be a map of keys'],
    ['groups: {}\n', 'line 1: the file needs a list of rules: write rules: and the list'],
    ['rule: []\n', 'line 1: the file has no key "rule"; the nearest one is rules'],
    ['rules:\n', 'line 1: rules has to be a list'],
    ['rules: [\n', /^line \d: /],
    ['rules: []\n\nrules: []\n', 'line 3: Map keys must be unique'],
    ['rules: []\n---\nrules: []\n', 'line 2: a second document begins here: the file is one'],
    ['rules:\n\t- a\n', /^line 2: Tabs are not allowed/],
    ['rules:\n  - a\n', 'line 2: a rule has to be a map of keys'],
    ['groups:\n  - a\nrules: []\n', 'line 2: groups has to be a map of keys'],
    ['groups:\n  a: {}\n  b:\nrules: []\n', /^line 2: the group a has to be a list/, /^line 3: the group b has to be/],
    [
      'rules:\n  - {}\n',
      'line 2: a rule says whom it is for: add users, groups, anonymous or authenticated',
      'line 2: a rule needs repositories: add the list',
      'line 2: a rule needs actions: add the list',
    ],
    [rule({ who: 'user: alice' }), 'line 2: a rule has no key "user"; the nearest one is users'],
    [rule({ who: 'anonymous: yes' }), 'line 2: anonymous has to be true or false'],
    [rule({ who: 'users: [[a]]' }), 'line 2: users has to be a list of texts'],
    [rule({ who: 'groups: [devs]' }), /^line 2: there is no group "devs": add it to groups, with an empty list where/],
    [rule({ actions: '[pull, write]' }), `line 4: "write" is none of pull, push, delete and '*'`],
    [rule({ actions: '[*]' }), "line 4: put quotes around '*': without them it is a reference in YAML"],
    [rule({ repositories: '**' }), "line 3: put quotes around '**': without them it is a reference in YAML"],
    [rule({ repositories: '[a, **]' }), /^line 3: put quotes around '\*\*'/],
    [rule({ who: 'anonymous: *x' }), /^line 2: put quotes around '\*x'/],
    [rule({ repositories: 'Team/*' }), /^line 3: the pattern "Team\/\*" has capital letters/],
    [rule({ repositories: 'a:1' }), /^line 3: the pattern "a:1" has a tag or a digest/],
    [rule({ repositories: "'a b'" }), /^line 3: the pattern "a b" has " ", which no repository has/],
    [rule({ repositories: "'!a'" }), /^line 3: the pattern "!a" begins with !, and rules only allow/],
    [rule({ repositories: '/a' }), /^line 3: the pattern "\/a" begins or ends with a slash/],
    [rule({ repositories: 'a/' }), /^line 3: the pattern "a\/" begins or ends with a slash/],
    [rule({ repositories: 'a**' }), /^line 3: the pattern "a\*\*" has \*\* within a component/],
    [rule({ repositories: "'[a'" }), /^line 3: the pattern "\[a" has a bracket that is not closed/],
    [
      rule({ repositories: '[ok, B]', actions: 'take' }),
      /^line 3: the pattern "B"/,
      `line 4: "take" is none of pull, push, delete and '*'`,
    ],
  ]
  for (const [text, ...expected] of table) {
    const found = mistakesIn(text)
    t.equal(found.length, expected.length, `${text}\n${found.join('\n')}`)
    t.match(found, expected, text)
  }
})

t.test('no rules at all are allowed: then nobody may do anything', async t => {
  t.same(parseAccessFile('rules: []\n').rules, [])
})
