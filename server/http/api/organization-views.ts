import { Type } from 'typebox'
import type { RepositoryRole } from '../../accounts/teams.ts'

/** Shapes that answers and requests about organizations, teams and robots share. */

export const repositoryRole = Type.Union([Type.Literal('read'), Type.Literal('write'), Type.Literal('admin')])

/** What Postgres takes: text without a NUL. */
export function text(maxLength: number) {
  return Type.String({ maxLength, pattern: '^[^\\u0000]*$' })
}

/** `true`, `1`, … in a query, as Quay reads it. */
export const flag = Type.Optional(Type.String())

export function isSet(flag: string | undefined, otherwise: boolean): boolean {
  return flag === undefined ? otherwise : !['', '0', 'false', 'False', 'FALSE', 'null'].includes(flag)
}

/** The name of a repository within its namespace. */
export function withoutNamespace(repository: string): string {
  return repository.slice(repository.indexOf('/') + 1)
}

/** What a team or a robot may do in repositories. */
export const permissionsView = Type.Object({
  permissions: Type.Array(
    Type.Object({
      repository: Type.Object({ name: Type.String(), is_public: Type.Boolean() }),
      role: repositoryRole,
    }),
  ),
})

export function viewOfPermissions(roles: readonly RepositoryRole[]) {
  return {
    permissions: roles.map(({ repository, visibility, role }) => ({
      repository: { name: withoutNamespace(repository), is_public: visibility === 'public' },
      role,
    })),
  }
}
