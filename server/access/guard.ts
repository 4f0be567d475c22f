import type { RepositoryName } from '../oci/repository-name.ts'
import type { Action, Actor, Visible } from './actor.ts'

/**
 * The one who stands before every operation: it says who asks, and what they may. There is one for each way of the
 * configuration's section `auth`; server/http/access.ts asks it.
 */
export interface Guard {
  /**
   * Who sends a request. Without a promise where it is known already: this is on the way of every request.
   * @param about the repository that the request is for, whose rights can then be looked up by the same query
   * @throws RegistryError UNAUTHORIZED for credentials that are wrong, also where none would be needed;
   *   TOOMANYREQUESTS with Retry-After for one who has failed too often
   */
  identify(caller: Caller, about?: RepositoryName): Actor | Promise<Actor>
  /** Whether the actor may do that there: the same for a repository that is forbidden and for one that is not there. */
  may(actor: Actor, action: Action, repository: RepositoryName): boolean | Promise<boolean>
  /** Which repositories the catalog shows. @returns undefined when the actor may not ask for it at all */
  visible(actor: Actor): Visible | undefined
  /** How one says who one is; undefined where no one is asked. */
  readonly challenge: Challenge | undefined
}

/** What a request tells of its sender. */
export interface Caller {
  /** The header `Authorization`. */
  authorization: string | undefined
  /** The IP address of the client, by which failures are counted. */
  address: string
  /** The certificate that the client's connection was made with, where a known authority signed it. */
  certificate: ClientCertificate | undefined
}

export interface ClientCertificate {
  /** Its common name. */
  name: string
  /** Its organizational units. */
  groups: readonly string[]
}

/** What `WWW-Authenticate` tells (RFC 7617; distribution's token specification). */
export type Challenge =
  | { scheme: 'Basic'; realm: string }
  | {
      scheme: 'Bearer'
      /** The URL of the token service; that of this registry (`/v2/auth`) when undefined. */
      realm: string | undefined
      /** The path at the registry's own host that clients are sent to in place of `realm` (`auth.token.autoredirect`). */
      redirectPath?: string | undefined
      service: string
    }
