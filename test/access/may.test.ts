import t from 'tap'
import { type Account, type Action, type Actor, ownerKey, type Rights } from '../../server/access/actor.ts'
import { type AccountPolicy, createMay } from '../../server/access/may.ts'
import { impliedScopes, parseScopes } from '../../server/access/scopes.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'

const repository = parseRepositoryName('team/app')
const other = parseRepositoryName('team/other')
const actions = ['pull', 'push', 'delete'] as const satisfies readonly Action[]

const policy: AccountPolicy = {
  anonymous: true,
  superusersFullAccess: false,
  createNamespaceOnPush: false,
  isFreeNamespace: () => true,
  createRepositoryOnPush: true,
  isRestricted: name => name === 'restricted',
}

const account: Account = {
  kind: 'account',
  id: 7,
  name: 'alice',
  robot: false,
  namespaceId: 1,
  power: 'none',
  scopes: 'all',
  known: undefined,
}
const robot: Account = { ...account, name: 'team+ci', robot: true }
const superuser: Account = { ...account, name: 'admin', power: 'superuser' }
const reader: Account = { ...account, name: 'auditor', power: 'reader' }

const there: Rights = {
  visibility: 'private',
  state: 'normal',
  role: undefined,
  namespace: 'organization',
  creates: false,
}
const missing: Rights = { ...there, visibility: undefined, state: undefined }
const none = { ...missing, namespace: undefined }

/** What may be done: `pull,push,delete`, `pull`, or nothing. */
async function allowed(actor: Actor, rights: Rights, settings: Partial<AccountPolicy> = {}): Promise<string> {
  const may = createMay({ accounts: { find: async () => rights, policy: { ...policy, ...settings } } })
  const found = []
  for (const action of actions) if (await may(actor, action, repository)) found.push(action)
  return found.join(',')
}

const all = 'pull,push,delete'

type Row = [what: string, actor: Actor, rights: Rights, allowed: string, policy?: Partial<AccountPolicy>]

const rows: Row[] = [
  ['anyone, where no one is asked', { kind: 'everyone' }, missing, all],

  ['someone without an account: private', { kind: 'anonymous' }, there, ''],
  ['someone without an account: public', { kind: 'anonymous' }, { ...there, visibility: 'public' }, 'pull'],
  ['someone without an account: missing', { kind: 'anonymous' }, missing, ''],
  ['someone without an account: missing, creates', { kind: 'anonymous' }, { ...missing, creates: true }, ''],
  [
    'someone without an account: public, not wanted',
    { kind: 'anonymous' },
    { ...there, visibility: 'public' },
    '',
    { anonymous: false },
  ],

  ['stranger: private', account, there, ''],
  ['stranger: public', account, { ...there, visibility: 'public' }, 'pull'],
  ['stranger: public, anonymous not wanted', account, { ...there, visibility: 'public' }, 'pull', { anonymous: false }],
  ['stranger: missing', account, missing, ''],
  ['stranger: no such namespace', account, none, ''],
  ['reader', account, { ...there, role: 'read' }, 'pull'],
  ['writer', account, { ...there, role: 'write' }, all],
  ['admin', account, { ...there, role: 'admin' }, all],
  ['reader of what is public', account, { ...there, visibility: 'public', role: 'read' }, 'pull'],
  ['writer: read-only', account, { ...there, role: 'write', state: 'read_only' }, 'pull'],
  ['admin: read-only', account, { ...there, role: 'admin', state: 'read_only' }, 'pull'],
  ['admin: mirror', account, { ...there, role: 'admin', state: 'mirror' }, 'pull'],

  ['who creates: missing', account, { ...missing, creates: true }, all],
  [
    'who creates: missing, pushes make none',
    account,
    { ...missing, creates: true },
    '',
    { createRepositoryOnPush: false },
  ],
  ['who creates: in the own namespace', account, { ...missing, namespace: 'user', creates: true }, all],
  ['who creates is not who writes', account, { ...there, creates: true }, ''],
  ['no such namespace, pushes make it', account, none, all, { createNamespaceOnPush: true }],
  [
    'a name that means something else',
    account,
    none,
    '',
    { createNamespaceOnPush: true, isFreeNamespace: name => name !== 'team' },
  ],
  [
    'a namespace of pushes without accounts',
    account,
    { ...missing, namespace: 'open' },
    '',
    { createNamespaceOnPush: true },
  ],
  ['robot: no such namespace, pushes make it', robot, none, '', { createNamespaceOnPush: true }],
  [
    'restricted: the own namespace',
    { ...account, name: 'restricted' },
    { ...missing, namespace: 'user', creates: true },
    '',
  ],
  ['restricted: an organization', { ...account, name: 'restricted' }, { ...missing, creates: true }, all],
  ['restricted: no such namespace', { ...account, name: 'restricted' }, none, '', { createNamespaceOnPush: true }],
  ['restricted: writes', { ...account, name: 'restricted' }, { ...there, role: 'write' }, all],

  ['robot: no role', robot, there, ''],
  ['robot: reads', robot, { ...there, role: 'read' }, 'pull'],
  ['robot: writes', robot, { ...there, role: 'write' }, all],
  ['robot: administers', robot, { ...there, role: 'admin' }, all],

  ['superuser: private', superuser, there, ''],
  ['superuser: private, reaches all', superuser, there, all, { superusersFullAccess: true }],
  ['superuser: missing, reaches all', superuser, missing, all, { superusersFullAccess: true }],
  ['superuser: no such namespace, reaches all', superuser, none, 'pull', { superusersFullAccess: true }],
  [
    'superuser: read-only, reaches all',
    superuser,
    { ...there, state: 'read_only' },
    'pull',
    { superusersFullAccess: true },
  ],
  ['superuser: the own role', superuser, { ...there, role: 'write' }, all],

  ['read-only superuser: private', reader, there, 'pull'],
  ['read-only superuser: the own role', reader, { ...there, role: 'admin' }, 'pull'],
  ['read-only superuser: missing', reader, { ...missing, creates: true }, 'pull'],
  ['read-only superuser: no such namespace', reader, none, 'pull', { createNamespaceOnPush: true }],

  ...(
    [
      ['repo:read', 'pull', ''],
      ['repo:write', all, ''],
      ['repo:admin', all, ''],
      ['repo:create', '', ''],
      ['repo:read repo:create', 'pull', 'pull'],
      ['repo:write repo:create', all, all],
      ['user:admin org:admin super:user', '', ''],
      ['', '', ''],
    ] as const
  ).flatMap(([scope, asAdmin, asCreator]): Row[] => {
    const restricted = { ...account, scopes: impliedScopes(parseScopes(scope) ?? []) }
    return [
      [`a token with the scopes "${scope}" of an admin`, restricted, { ...there, role: 'admin' }, asAdmin],
      [`a token with the scopes "${scope}" of who creates`, restricted, { ...missing, creates: true }, asCreator],
      [`a token with the scopes "${scope}" of a stranger`, restricted, there, ''],
    ]
  }),
  [
    'a token with repo:read of a superuser who reaches all',
    { ...superuser, scopes: impliedScopes(['repo:read']) },
    there,
    'pull',
    { superusersFullAccess: true },
  ],
]

t.test('who may do what where there are accounts', async t => {
  for (const [what, actor, rights, expected, settings] of rows)
    t.equal(await allowed(actor, rights, settings), expected, what)
})

const granted = (...of: (Action | '*')[]): Actor => ({
  kind: 'granted',
  name: 'alice',
  accountId: 7,
  endsAt: Date.now() + 1000,
  grants: { repositories: new Map([[repository, new Set(of)]]), catalog: false },
})

t.test('a token says itself what it is good for, whatever the rows say', async t => {
  t.equal(await allowed(granted('pull'), missing), 'pull')
  t.equal(await allowed(granted('pull', 'push'), there), 'pull,push')
  t.equal(await allowed(granted('*'), there), all)
  t.equal(await allowed(granted(), { ...there, role: 'admin' }), '')
  const may = createMay({ accounts: { find: async () => ({ ...there, role: 'admin' }), policy } })
  t.equal(await may(granted('*'), 'pull', other), false, 'and for no other repository')
})

t.test('what was looked up with the account counts for its repository alone', async t => {
  let looks = 0
  const find = async () => {
    looks++
    return there
  }
  const may = createMay({ accounts: { find, policy } })
  const known = { ...account, known: { repository, rights: { ...there, role: 'write' as const } } }
  t.equal(await may(known, 'push', repository), true)
  t.equal(looks, 0)
  t.equal(await may(known, 'push', other), false)
  t.equal(looks, 1)
})

t.test('an account is no one where there are none', async t => {
  for (const action of actions) t.equal(await createMay({})(account, action, repository), false)
})

t.test('an upload is bound to the name of who began it', async t => {
  const ended = { endsAt: 0, grants: { repositories: new Map(), catalog: false }, accountId: 7 }
  t.equal(ownerKey(account), 'alice')
  t.equal(ownerKey({ kind: 'granted', name: 'alice', ...ended }), 'alice')
  t.equal(ownerKey({ kind: 'named', name: 'alice', groups: [] }), 'alice')
  t.equal(ownerKey({ kind: 'everyone' }), '')
  t.equal(ownerKey({ kind: 'anonymous' }), '')
})
