import picomatch from 'picomatch'
import type { Action } from './actor.ts'
import { createYamlReader, type Entry, type YamlReader } from './access-rules-yaml.ts'

/** What an access file says. */
export interface AccessFile {
  readonly rules: readonly AccessRule[]
  /** The groups of each user who is in any. */
  readonly groupsOf: ReadonlyMap<string, ReadonlySet<string>>
}

/** Allows some actions in some repositories to whom any of the first four is true of. */
export interface AccessRule {
  /** Everyone, with a name or without. */
  readonly anonymous: boolean
  /** Everyone who has a name. */
  readonly authenticated: boolean
  readonly users: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
  readonly actions: ReadonlySet<Action>
  matches(this: void, repository: string): boolean
  /** Whether it is for all repositories. */
  readonly everywhere: boolean
}

const actions = ['pull', 'push', 'delete'] as const satisfies readonly Action[]
const subjects = ['users', 'groups', 'anonymous', 'authenticated'] as const
const topKeys = ['groups', 'rules']
const ruleKeys = [...subjects, 'repositories', 'actions']

/** @throws Error whose message has each mistake with its line, as a sentence */
export function parseAccessFile(text: string): AccessFile {
  const reader = createYamlReader(text)
  const top = reader.entries(reader.root, { what: 'the file', known: topKeys })
  const groupEntry = top?.get('groups')
  const groups = groupEntry === undefined ? new Map<string, readonly string[]>() : groupsIn(groupEntry, reader)
  const ruleEntry = top?.get('rules')
  if (top !== undefined && mayBeTold(top, topKeys) && ruleEntry === undefined)
    reader.mistake(reader.root, 'the file needs a list of rules: write rules: and the list')
  const rules =
    ruleEntry === undefined ? [] : reader.list(ruleEntry.value, 'rules').flatMap(node => ruleIn(node, groups, reader))
  reader.end()
  return { rules, groupsOf: byMember(groups) }
}

function groupsIn({ value }: Entry, reader: YamlReader): Map<string, readonly string[]> {
  const found = reader.entries(value, { what: 'groups' })
  return new Map([...(found ?? [])].map(([name, entry]) => [name, reader.texts(entry.value, `the group ${name}`)]))
}

function byMember(groups: ReadonlyMap<string, readonly string[]>): Map<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>()
  for (const [group, members] of groups) {
    for (const member of members) found.set(member, (found.get(member) ?? new Set()).add(group))
  }
  return found
}

/** @returns one rule, or none when there is a mistake in it */
function ruleIn(node: unknown, groups: ReadonlyMap<string, unknown>, reader: YamlReader): AccessRule[] {
  const entries = reader.entries(node, { what: 'a rule', known: ruleKeys })
  if (entries === undefined) return []
  const texts = (key: string) => entries.get(key) && reader.textNodes(entries.get(key)?.value, key)
  const flag = (key: string) => {
    const entry = entries.get(key)
    return entry !== undefined && reader.flag(entry.value, key)
  }

  if (mayBeTold(entries, ruleKeys)) {
    if (!subjects.some(key => entries.has(key)))
      reader.mistake(node, `a rule says whom it is for: add ${subjects.slice(0, 3).join(', ')} or ${subjects[3]}`)
    for (const key of ['repositories', 'actions'])
      if (!entries.has(key)) reader.mistake(node, `a rule needs ${key}: add the list`)
  }

  const named = texts('groups') ?? []
  for (const { text, node } of named.filter(({ text }) => !groups.has(text)))
    reader.mistake(
      node,
      `there is no group ${JSON.stringify(text)}: add it to groups, with an empty list where its members come by their certificates`,
    )
  const patterns = (texts('repositories') ?? []).flatMap(({ text, node }) => {
    const pattern = patternOf(text)
    if (typeof pattern !== 'string') return [pattern]
    reader.mistake(node, `the pattern ${JSON.stringify(text)} ${pattern}`)
    return []
  })
  const allowed = (texts('actions') ?? []).flatMap(({ text, node }) => {
    if (text === '*') return actions
    const action = actions.find(one => one === text)
    if (action === undefined) reader.mistake(node, `${JSON.stringify(text)} is none of ${actions.join(', ')} and '*'`)
    return action ?? []
  })
  return [
    {
      anonymous: flag('anonymous'),
      authenticated: flag('authenticated'),
      users: new Set((texts('users') ?? []).map(({ text }) => text)),
      groups: new Set(named.map(({ text }) => text)),
      actions: new Set(allowed),
      matches: repository => patterns.some(({ matches }) => matches(repository)),
      everywhere: patterns.some(({ everywhere }) => everywhere),
    },
  ]
}

/** Whether it makes sense to tell what is missing: not when it may be what is misspelt. */
function mayBeTold(entries: ReadonlyMap<string, unknown>, known: readonly string[]): boolean {
  return [...entries.keys()].every(key => known.includes(key))
}

interface Pattern {
  matches(this: void, repository: string): boolean
  everywhere: boolean
}

/** @returns what is wrong with a pattern that can't match any repository */
function patternOf(text: string): Pattern | string {
  if (/[A-Z]/.test(text)) return 'has capital letters, which no repository has'
  if (text.startsWith('!')) return 'begins with !, and rules only allow: name what is allowed'
  const [strange] = /[^a-z0-9._/*?[\]{},!^-]/.exec(text) ?? []
  if (strange === ':' || strange === '@') return 'has a tag or a digest, and rules are about whole repositories'
  if (strange !== undefined) return `has ${JSON.stringify(strange)}, which no repository has`
  if (text.startsWith('/') || text.endsWith('/')) return 'begins or ends with a slash, as no repository does'
  if (/[^/{,]\*\*|\*\*[^/},]/.test(text)) return 'has ** within a component: it stands for whole ones, as in team/**'
  try {
    // With strictSlashes `team/**` is what is below `team`, and not `team` itself.
    const matches = picomatch(text, { strictSlashes: true, strictBrackets: true, noextglob: true, nonegate: true })
    return { matches: repository => matches(repository), everywhere: text === '**' }
  } catch {
    return 'has a bracket that is not closed'
  }
}
