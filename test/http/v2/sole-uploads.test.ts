import { defaults } from '../../helpers/registry.ts'

/** Upload sessions of a process that is alone on its database, which it keeps to itself (server/registry/own-uploads.ts). */

defaults.sole = true
await import('./uploads-chunks.test.ts')
await import('./uploads-digests.test.ts')
await import('./uploads-faults.test.ts')
await import('./uploads-mounts.test.ts')
