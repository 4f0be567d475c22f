import type { Branded } from './brand.ts'
import { RegistryError } from './errors.ts'

/** A repository's whole path, such as `nginx` or `team/app/base`. */
export type RepositoryName = Branded<'RepositoryName'>

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/** What a host name of 44 characters leaves of the 255 that many clients allow for host and name together would be
 * less; the specification leaves the bound to us, and 255 is what registries take. */
const longest = 255

export function isRepositoryName(text: string): text is RepositoryName {
  return text.length > 0 && text.length <= longest && text.split('/').every(part => component.test(part))
}

/** @throws RegistryError NAME_INVALID (distribution spec, "Pulling manifests": the grammar of `<name>`). */
export function parseRepositoryName(text: string): RepositoryName {
  if (isRepositoryName(text)) return text
  const reason =
    text.length > longest
      ? `a repository name has at most ${longest} characters, this one has ${text.length}`
      : 'a repository name is made of lower-case letters, digits and the separators . _ __ - between them, in components joined by /'
  throw new RegistryError('NAME_INVALID', {
    message: `invalid repository name: ${reason}`,
    detail: { name: text.slice(0, 300) },
  })
}

/** The first component, or `library` where there is only one. */
export function namespaceOf(name: RepositoryName): string {
  const slash = name.indexOf('/')
  return slash < 0 ? 'library' : name.slice(0, slash)
}
