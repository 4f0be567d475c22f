/**
 * Repository names have slashes, routes do not like that. Before routing, the name in a path is encoded into one
 * segment, so that every route below says `/v2/:name/...`. What a client had encoded itself is encoded once more and
 * comes out of the router as it was sent: `%2f` in a name stays `%2f`, and is refused as a name.
 */

interface Shape {
  /** The route as it is registered. */
  route: string
  pattern: RegExp
}

/** In the order in which they are tried: a name may itself have components such as `blobs` or `tags`. */
const shapes: readonly Shape[] = [
  { route: '/v2/:name/tags/list', pattern: /^\/v2\/(.*)\/tags\/list$/ },
  { route: '/v2/:name/manifests/:reference', pattern: /^\/v2\/(.*)\/manifests\/([^/]*)$/ },
  { route: '/v2/:name/referrers/:digest', pattern: /^\/v2\/(.*)\/referrers\/([^/]*)$/ },
  // Not `/blobs/uploads/`: the router would take that for an upload whose id is empty.
  { route: '/v2/:name/uploads', pattern: /^\/v2\/(.*)\/blobs\/uploads\/?$/ },
  { route: '/v2/:name/blobs/uploads/:upload', pattern: /^\/v2\/(.*)\/blobs\/uploads\/([^/]+)$/ },
  { route: '/v2/:name/blobs/:digest', pattern: /^\/v2\/(.*)\/blobs\/([^/]*)$/ },
]

const plain = new Set(['/v2/', '/v2/_catalog'])

/**
 * The path of the route that a client's path is meant for. What has none of the shapes is put where no route is, so
 * that the routes' own spelling can't be asked for.
 */
export function internalPath(path: string): string {
  if (path === '/v2') return '/v2/'
  if (!path.startsWith('/v2/') || plain.has(path)) return path
  for (const { route, pattern } of shapes) {
    const match = pattern.exec(path)
    if (match === null) continue
    const [, name = '', last = ''] = match
    // An empty parameter would fall through to another route; a space is as invalid as nothing, and arrives.
    return route
      .replace(':name', encodeURIComponent(name) || '%20')
      .replace(/:(?:reference|digest|upload)$/, () => last || '%20')
  }
  return `/v2/.unknown${path}`
}

/** The route that an internal path belongs to, for the question of which methods it knows. */
export function routeOf(path: string): string | undefined {
  if (plain.has(path)) return path
  return shapes.find(({ route }) => new RegExp(`^${route.replaceAll(/:\w+/g, '[^/]+')}$`).test(path))?.route
}
