/**
 * Repository names have slashes, routes do not like that. Before routing, the name in a path is encoded into one
 * segment, so that every route below says `/v2/:name/...`. What a client had encoded itself is encoded once more and
 * comes out of the router as it was sent: `%2f` in a name stays `%2f`, and is refused as a name.
 */

interface Shape {
  /** The route as it is registered. */
  route: string
  /** What stands between the name and the last part of the path. */
  between: string
  /** What stands there in the route. */
  to: string
  /** Whether the last part is a parameter, which may be empty only where nothing else is meant by that. */
  last: 'none' | 'any' | 'some'
}

/** In the order in which they are tried: a name may itself have components such as `blobs` or `tags`. */
const shapes: readonly Shape[] = [
  { route: '/v2/:name/tags/list', between: '/tags/list', to: '/tags/list', last: 'none' },
  { route: '/v2/:name/manifests/:reference', between: '/manifests/', to: '/manifests/', last: 'any' },
  { route: '/v2/:name/referrers/:digest', between: '/referrers/', to: '/referrers/', last: 'any' },
  // Not `/blobs/uploads/`: the router would take that for an upload whose id is empty.
  { route: '/v2/:name/uploads', between: '/blobs/uploads', to: '/uploads', last: 'none' },
  { route: '/v2/:name/uploads', between: '/blobs/uploads/', to: '/uploads', last: 'none' },
  { route: '/v2/:name/blobs/uploads/:upload', between: '/blobs/uploads/', to: '/blobs/uploads/', last: 'some' },
  { route: '/v2/:name/blobs/:digest', between: '/blobs/', to: '/blobs/', last: 'any' },
]

const start = '/v2/'

/** The name and the last part of a path of this shape. */
function parts(path: string, { between, last }: Shape): { name: string; last: string } | undefined {
  const end = last === 'none' ? path.length - between.length : path.lastIndexOf('/') + 1 - between.length
  if (end < start.length || !path.startsWith(between, end)) return undefined
  const rest = path.slice(end + between.length)
  return last === 'some' && rest === '' ? undefined : { name: path.slice(start.length, end), last: rest }
}

const plain = new Set(['/v2/', '/v2/_catalog', '/v2/auth'])

/**
 * The path of the route that a client's path is meant for. What has none of the shapes is put where no route is, so
 * that the routes' own spelling can't be asked for.
 */
export function internalPath(path: string): string {
  if (path === '/v2') return '/v2/'
  if (!path.startsWith('/v2/') || plain.has(path)) return path
  for (const shape of shapes) {
    const found = parts(path, shape)
    if (found === undefined) continue
    // An empty parameter would fall through to another route; a space is as invalid as nothing, and arrives.
    const name = encodeURIComponent(found.name) || '%20'
    return `${start}${name}${shape.to}${shape.last === 'none' ? '' : found.last || '%20'}`
  }
  return `/v2/.unknown${path}`
}

/** The route that an internal path belongs to, for the question of which methods it knows. */
export function routeOf(path: string): string | undefined {
  if (plain.has(path)) return path
  return shapes.find(({ route }) => new RegExp(`^${route.replaceAll(/:\w+/g, '[^/]+')}$`).test(path))?.route
}
