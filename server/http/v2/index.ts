import type { FastifyInstance } from 'fastify'
import type { Services } from '../../services.ts'
import { type AccessOptions, requireAccess } from '../access.ts'
import type { OpenBody } from '../bodies/open-body.ts'
import type { Locate, Origin } from '../locations.ts'
import type { RedirectOptions } from '../redirects.ts'
import { authRoutes } from './auth.ts'
import { blobRoutes } from './blobs.ts'
import { catalogRoutes } from './catalog.ts'
import { manifestRoutes } from './manifests.ts'
import { referrerRoutes } from './referrers.ts'
import { tagRoutes } from './tags.ts'
import { uploadRoutes } from './uploads.ts'

export interface V2Options {
  services: Services
  locate: Locate
  origin: Origin
  access: AccessOptions
  openBody: OpenBody
  /** Where a proxy finds the files of blobs (server/http/accel-redirect.ts). */
  accelRedirect: string | undefined
  /** Which downloads the store serves itself (server/http/redirects.ts); none when undefined. */
  redirect: RedirectOptions | undefined
}

/** The API of the OCI distribution specification, below `/v2/`. */
export async function v2(app: FastifyInstance, options: V2Options): Promise<void> {
  const { services, locate, origin, access, openBody, accelRedirect, redirect } = options
  const { guard } = services.access
  requireAccess(app, { ...access, guard, origin })

  app.route({ method: ['GET', 'HEAD'], url: '/v2/', config: { access: 'known' }, handler: async () => ({}) })
  const { accounts } = services.access
  if (accounts !== undefined) await app.register(authRoutes, { tokens: accounts.tokens, origin })
  await app.register(uploadRoutes, { uploads: services.uploads, blobs: services.blobs, guard, locate, openBody })
  await app.register(blobRoutes, { blobs: services.blobs, accelRedirect, redirect })
  await app.register(manifestRoutes, { manifests: services.manifests, tags: services.tags, locate })
  await app.register(tagRoutes, { tags: services.tags, locate })
  await app.register(referrerRoutes, { referrers: services.referrers, locate })
  await app.register(catalogRoutes, { catalog: services.catalog, guard, locate })
}
