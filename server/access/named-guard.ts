import { RegistryError } from '../oci/errors.ts'
import type { AccessRules } from './access-rules.ts'
import type { Actor, Named } from './actor.ts'
import { type BasicCredentials, parseAuthorization } from './basic.ts'
import type { Caller, Guard } from './guard.ts'
import type { HtpasswdUsers } from './htpasswd-users.ts'
import type { LoginLimits } from './login-limits.ts'
import { createMay } from './may.ts'

export interface NamedGuardOptions {
  /** Those who have a password, and what they are asked for it by; no one when left out. */
  passwords?: { users: HtpasswdUsers; limits: LoginLimits; realm: string }
  /**
   * Who may do what; then the holder of a client certificate has a name as well. Without rules, whoever has shown a
   * password may do everything: a certificate may be needed to connect, and is not enough, as in registry:2.
   */
  rules?: AccessRules
}

/** The guard of a registry whose users stand in files or have certificates (`auth.htpasswd`, `auth.access`). */
export function createNamedGuard({ passwords, rules }: NamedGuardOptions): Guard {
  async function login({ name, secret }: BasicCredentials, address: string): Promise<Named> {
    if (passwords === undefined) throw onlyCertificates()
    const { users, limits } = passwords
    await limits.check(name, address)
    if (!(await users.verify(name, secret))) {
      await limits.failed(name, address)
      throw wrong()
    }
    await limits.succeeded(name, address)
    return named(name)
  }

  /** Who says nothing of themselves. */
  function unnamed(caller: Caller): Actor {
    const certificate = rules === undefined ? undefined : caller.certificate
    return certificate === undefined ? { kind: 'anonymous' } : { kind: 'named', ...certificate }
  }

  return {
    challenge: passwords === undefined ? undefined : { scheme: 'Basic', realm: passwords.realm },
    may: createMay(rules === undefined ? {} : { rules: rules.allow }),

    identify(caller) {
      const authorization = parseAuthorization(caller.authorization)
      switch (authorization.scheme) {
        case 'none':
          return unnamed(caller)
        case 'basic': {
          const { name, secret } = authorization
          // Podman and Skopeo answer a Basic challenge so when they know no password.
          if (name === '' && secret === '') return unnamed(caller)
          // A request of known credentials takes no promise.
          if (passwords?.users.isKnown(name, secret) === true) return named(name)
          return login(authorization, caller.address)
        }
        case 'bearer':
        case 'unknown':
          throw passwords === undefined ? onlyCertificates() : wrong()
        default:
          return authorization satisfies never
      }
    },

    visible(actor) {
      if (actor.kind === 'anonymous') return rules?.visible(undefined, [])
      if (actor.kind !== 'named') return undefined
      return rules === undefined ? { kind: 'all' } : rules.visible(actor.name, actor.groups)
    },
  }
}

function named(name: string): Named {
  return { kind: 'named', name, groups: [] }
}

/** The same whatever is wrong. */
function wrong(): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'the user name or the password is wrong' })
}

function onlyCertificates(): RegistryError {
  return new RegistryError('DENIED', {
    message: 'this registry knows its users by client certificates alone; log out from it to use yours',
  })
}
