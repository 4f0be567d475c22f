import type { Logger } from '../lib/log.ts'
import { type AccessRule, parseAccessFile } from './access-rules-file.ts'
import type { Visible } from './actor.ts'
import { openFreshFile } from './fresh-file.ts'
import type { MayOptions } from './may.ts'

/** The rules of an access file, as it is now. What none of them allows is refused. */
export interface AccessRules {
  /** Whether one of the rules allows it to someone: to those without a name when that is undefined. */
  readonly allow: NonNullable<MayOptions['rules']>
  /** Which repositories someone may pull from; undefined for those without a name when no rule is for them. */
  visible(this: void, name: string | undefined, groups: readonly string[]): Visible | undefined
}

/** Reads the file, which may change from then on. @throws Error with all that is wrong in it */
export function openAccessRules({ path, log }: { path: string; log: Logger }): AccessRules {
  const file = openFreshFile({
    path,
    setting: 'auth.access.path',
    read: parseAccessFile,
    isWhole: text => text.trim() !== '',
    log,
  })

  function rulesFor(name: string | undefined, groups: readonly string[]): readonly AccessRule[] {
    const { rules, groupsOf } = file.current()
    const own = name === undefined ? undefined : groupsOf.get(name)
    return rules.filter(rule => isFor(rule, name, own === undefined ? groups : [...groups, ...own]))
  }

  return {
    allow: (name, groups, action, repository) =>
      rulesFor(name, groups).some(({ actions, matches }) => actions.has(action) && matches(repository)),

    visible(name, groups) {
      const rules = rulesFor(name, groups).filter(({ actions }) => actions.has('pull'))
      if (name === undefined && rules.length === 0) return undefined
      if (rules.some(({ everywhere }) => everywhere)) return { kind: 'all' }
      return { kind: 'some', may: repository => rules.some(({ matches }) => matches(repository)) }
    },
  }
}

function isFor(rule: AccessRule, name: string | undefined, groups: readonly string[]): boolean {
  if (rule.anonymous) return true
  if (name === undefined) return false
  return rule.authenticated || rule.users.has(name) || groups.some(group => rule.groups.has(group))
}
