import { Type } from 'typebox'
import { isScope } from '../../access/scopes.ts'
import type { Scope } from '../../access/actor.ts'

/** What a scope of a token lets its bearer do, in words for those who give it away. */
export const scopeView = Type.Object({
  scope: Type.String(),
  title: Type.String(),
  description: Type.String(),
  /** Whether it is worth as much as the password. */
  dangerous: Type.Boolean(),
})

interface Words {
  title: string
  description: string
  dangerous: boolean
}

const words: Record<Scope, Words> = {
  'repo:read': {
    title: 'See repositories',
    description: 'Sees and pulls every repository that you can see.',
    dangerous: false,
  },
  'repo:write': {
    title: 'Write to repositories',
    description: 'Pulls from and pushes to every repository that you can write to.',
    dangerous: false,
  },
  'repo:admin': {
    title: 'Administer repositories',
    description: 'Changes and deletes every repository that you administer, and decides who may use it.',
    dangerous: true,
  },
  'repo:create': {
    title: 'Create repositories',
    description: 'Creates repositories wherever you may.',
    dangerous: false,
  },
  'user:read': {
    title: 'Read about you',
    description: 'Reads your user name, your e-mail address and what else you have said of yourself.',
    dangerous: false,
  },
  'user:admin': {
    title: 'Administer your account',
    description: 'Changes your account, its password included, and makes robots and tokens in your name.',
    dangerous: true,
  },
  'org:admin': {
    title: 'Administer organizations',
    description: 'Does in your organizations what you do as an admin: members, teams, robots, applications.',
    dangerous: true,
  },
  'super:user': {
    title: 'Administer the registry',
    description: 'Does what you do as a superuser: users and organizations of the whole registry.',
    dangerous: true,
  },
}

export function scopeViews(scopes: readonly string[]) {
  return scopes.filter(isScope).map(scope => ({ scope, ...words[scope] }))
}
