import { createHash } from 'node:crypto'
import { Type } from 'typebox'

/** Shapes that several answers have. */

export const avatar = Type.Object({
  name: Type.String(),
  hash: Type.String(),
  color: Type.String(),
  kind: Type.String(),
})

type AvatarKind = 'user' | 'org' | 'robot' | 'team' | 'app'

const colors = [
  '#969696',
  '#aec7e8',
  '#ff7f0e',
  '#ffbb78',
  '#2ca02c',
  '#98df8a',
  '#d62728',
  '#ff9896',
  '#9467bd',
  '#c5b0d5',
]

/**
 * The picture of someone: a colour and a hash that always are the same for the same name.
 * @param email of an organization or an application, to tell the picture by; users' own stay out of what others see
 */
export function avatarOf(name: string, kind: AvatarKind, email: string | null = null) {
  const hash = createHash('sha256')
    .update((email ?? name).trim().toLowerCase())
    .digest('hex')
  return { name, hash, color: colors[Number.parseInt(hash.slice(0, 6), 16) % colors.length] ?? '#969696', kind }
}

/** A moment as most of Quay's answers have it: RFC 2822. */
export function rfc2822(date: Date | null): string | null {
  return date === null ? null : date.toUTCString().replace('GMT', '-0000')
}

/** A moment in seconds since 1970. */
export function epochSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

export const success = Type.Object({ success: Type.Boolean() })

/** An error, as errors.ts renders it: of routes that answer a status in two shapes. */
export const problem = Type.Object({
  detail: Type.String(),
  error_message: Type.String(),
  error_type: Type.String(),
  title: Type.String(),
  type: Type.String(),
  status: Type.Integer(),
  message: Type.String(),
  is_readonly: Type.Optional(Type.Literal(true)),
})
