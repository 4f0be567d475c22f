import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Action, Actor } from '../access/actor.ts'
import type { Guard } from '../access/guard.ts'
import { RegistryError } from '../oci/errors.ts'
import { isRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import { callerOf } from './caller.ts'
import { createRefusals, type Refusals } from './refusals.ts'
import type { Origin } from './locations.ts'

/**
 * What a route does with the registry. Every route says it, or the server does not start.
 * `public`: no one is asked. `known`: whoever has shown who they are. The others are done in the repository of the path,
 * but for `catalog`. `upload`: goes on with an upload, which is its beginner's alone; `cancel` ends one.
 */
export type Access = 'public' | 'known' | 'pull' | 'push' | 'upload' | 'delete' | 'cancel' | 'catalog'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** Who sends it: there once the request has passed the hook of `requireAccess`. */
    actor: Actor
  }
}

export interface AccessOptions {
  /** `storage.maintenance.readonly.enabled` */
  readOnly: boolean
  /** `storage.delete.enabled` */
  deletes: boolean
}

const actions = {
  pull: 'pull',
  push: 'push',
  upload: 'push',
  cancel: 'push',
  delete: 'delete',
} as const satisfies Partial<Record<Access, Action>>

/**
 * Has every route declare its access, and refuses what is not allowed or switched off before anything of a body is read.
 * @param origin tells clients where the token service is
 */
export function requireAccess(app: FastifyInstance, options: AccessOptions & { guard: Guard; origin: Origin }): void {
  const { guard } = options
  const refusals = createRefusals(guard.challenge, options.origin)
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) throw new Error(`${String(method)} ${url} declares no access`)
  })
  app.decorateRequest('actor')
  app.addHook('onRequest', (request, _reply, done) => {
    // Without a promise where all is known: this is on the way of every request.
    let admitted: Promise<void> | void
    try {
      admitted = admit(request, { guard, refusals })
    } catch (error) {
      done(asError(error))
      return
    }
    const end = () => done(switchedOff(request, options))
    const refuse = (error: unknown) => done(asError(error))
    if (admitted === undefined) end()
    else void admitted.then(end, refuse)
  })
}

interface Gate {
  guard: Guard
  refusals: Refusals
}

/** @throws RegistryError when the request's sender is not who they say, or may not do what they ask for */
function admit(request: FastifyRequest, gate: Gate): Promise<void> | void {
  const access = request.routeOptions.config.access
  if (access === undefined || access === 'public') return undefined
  const repository = repositoryOf(request)
  let actor: Actor | Promise<Actor>
  try {
    actor = gate.guard.identify(callerOf(request), repository)
  } catch (error) {
    throw gate.refusals.challenged(request, error)
  }
  if (!(actor instanceof Promise)) return check(request, actor, repository, gate)
  return actor.then(
    known => check(request, known, repository, gate),
    (error: unknown) => {
      throw gate.refusals.challenged(request, error)
    },
  )
}

function check(
  request: FastifyRequest,
  actor: Actor,
  repository: RepositoryName | undefined,
  { guard, refusals }: Gate,
): Promise<void> | void {
  request.actor = actor
  const access = request.routeOptions.config.access
  if (actor.kind === 'everyone' || access === undefined || access === 'public') return undefined
  // Tokens end; an upload that was begun with one does not, for its client could send its bytes only once.
  if (actor.kind === 'granted' && actor.endsAt < Date.now() && access !== 'upload') throw refusals.expired(request)
  if (access === 'known') {
    if (actor.kind === 'anonymous') throw refusals.forbidden(request, actor)
    return undefined
  }
  if (access === 'catalog') {
    if (guard.visible(actor) === undefined) throw refusals.forbidden(request, actor)
    return undefined
  }
  // Of a name that no repository can have the operation itself tells, before it does anything.
  if (repository === undefined) return undefined
  const allowed = guard.may(actor, actions[access], repository)
  if (allowed === true) return undefined
  if (allowed === false) throw refusals.forbidden(request, actor)
  return allowed.then(yes => {
    if (!yes) throw refusals.forbidden(request, actor)
  })
}

function repositoryOf({ params }: FastifyRequest): RepositoryName | undefined {
  const name: unknown = typeof params === 'object' && params !== null ? Reflect.get(params, 'name') : undefined
  return typeof name === 'string' && isRepositoryName(name) ? name : undefined
}

function switchedOff(
  { routeOptions }: FastifyRequest,
  { readOnly, deletes }: AccessOptions,
): RegistryError | undefined {
  if (!readOnly && deletes) return undefined
  const { config, url } = routeOptions
  const changes = ['push', 'upload', 'delete', 'cancel'].includes(config.access ?? '')
  if (readOnly && changes)
    return notTaken('this registry is read-only at the moment (storage.maintenance.readonly)', url)
  if (!deletes && config.access === 'delete')
    return notTaken('deleting is switched off in this registry (storage.delete.enabled)', url)
  return undefined
}

/** 405 with what the path still takes (RFC 9110 section 15.5.6); an upload takes nothing when the registry is read-only. */
function notTaken(message: string, url: string | undefined): RegistryError {
  return new RegistryError('UNSUPPORTED', { message, headers: { allow: url?.includes('/uploads') ? '' : 'GET, HEAD' } })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('not admitted', { cause: error })
}
