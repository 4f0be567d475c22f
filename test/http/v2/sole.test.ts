import { defaults } from '../../helpers/registry.ts'

/** What a registry answers must be the same when it remembers what its database said. */

defaults.sole = true
await import('./manifests.test.ts')
await import('./manifests-delete.test.ts')
await import('./tags.test.ts')
await import('./blobs.test.ts')
await import('./manifests-concurrency.test.ts')
await import('./manifests-conditions.test.ts')
await import('./manifests-references.test.ts')
await import('./uploads-mounts.test.ts')
