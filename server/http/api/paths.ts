/**
 * Repository names have slashes, routes do not like that: before routing, `/api/v1/repository/<namespace>/<name>/…` gets the
 * name as one segment, as server/http/v2/paths.ts does for the registry's API. What follows a name has one of a few shapes;
 * a name may have such words in it where nothing of these shapes comes of it, and any name can be written with `%2F` for
 * its slashes, which says where it ends.
 */

const start = '/api/v1/repository/'
const starred = '/api/v1/user/starred'

const one = '[^/]+'
/** What may follow a repository's name. Digests have a colon, which no name has. */
const shapes = [
  'changestate',
  'changevisibility',
  `manifest/[^/:%]+(?::|%3[Aa])${one}(?:/labels(?:/${one})?)?`,
  'permissions/team',
  `permissions/team/${one}`,
  'permissions/user',
  `permissions/user/${one}(?:/transitive)?`,
  'tag',
  `tag/${one}(?:/restore)?`,
]

/** A namespace, the first component of a name and more of them, up to the first shape that takes all of the rest. */
const plain = new RegExp(`^(${one}/${one}(?:/${one})*?)((?:/(?:${shapes.join('|')}))?)/?$`)
const encoded = /^([^/]*%2[Ff][^/]*)(.*)$/

/** The path of the route that a client's path is meant for. A slash at the end is as good as none. */
export function internalApiPath(path: string): string {
  if (path.startsWith(`${starred}/`)) {
    const name = withoutSlash(path.slice(starred.length + 1))
    return name === '' ? starred : `${starred}/${asSegment(name)}`
  }
  if (!path.startsWith(start)) return withoutSlash(path)
  const rest = path.slice(start.length)
  const [, name, more = ''] = encoded.exec(rest) ?? plain.exec(rest) ?? []
  return name === undefined ? withoutSlash(path) : `${start}${asSegment(name)}${withoutSlash(more)}`
}

/** A name as one segment of a path; one that can't be decoded is no repository's. */
function asSegment(name: string): string {
  try {
    return encodeURIComponent(decodeURIComponent(name))
  } catch {
    return encodeURIComponent(name)
  }
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
