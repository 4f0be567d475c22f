import type { Guard } from './guard.ts'
import type { Actor } from './actor.ts'

/** The guard of a registry that is open to everyone (`auth` is left out). */
export function createOpenGuard(): Guard {
  const everyone: Actor = { kind: 'everyone' }
  return { identify: () => everyone, may: () => true, visible: () => ({ kind: 'all' }), challenge: undefined }
}
