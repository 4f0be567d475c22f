import { RegistryError } from '../oci/errors.ts'
import { parseAuthorization } from './basic.ts'
import type { ExternalTokens } from './external-tokens.ts'
import type { Challenge, Guard } from './guard.ts'
import { createMay } from './may.ts'

/** The guard of a registry whose users have tokens of a service of someone else's (`auth.token`). */
export function createExternalGuard({ tokens, challenge }: { tokens: ExternalTokens; challenge: Challenge }): Guard {
  return {
    challenge,
    may: createMay({}),

    identify(caller) {
      const authorization = parseAuthorization(caller.authorization)
      switch (authorization.scheme) {
        case 'none':
          return { kind: 'anonymous' }
        case 'bearer':
          return tokens.verify(authorization.token)
        case 'basic':
        case 'unknown':
          throw new RegistryError('UNAUTHORIZED', {
            message: 'this registry takes the tokens of its token service alone',
          })
        default:
          return authorization satisfies never
      }
    },

    visible: actor => (actor.kind === 'granted' && actor.grants.catalog ? { kind: 'all' } : undefined),
  }
}
