import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'

/** What has to hold of where a tag points before it is moved or ended (RFC 9110 section 13.1): both, where both are given. */
export interface TagCondition {
  /** It points to one of these, or (`*`) it exists. */
  match?: '*' | readonly string[] | undefined
  /** It points to none of these, or (`*`) it does not exist. */
  noneMatch?: '*' | readonly string[] | undefined
}

/** @param current where the tag points, if it exists @throws RegistryError MANIFEST_INVALID 412 when it does not hold */
export function checkCondition(condition: TagCondition | undefined, current: Digest | undefined): void {
  const { match, noneMatch } = condition ?? {}
  const includes = (digests: '*' | readonly string[]) =>
    current !== undefined && (digests === '*' || digests.includes(current))
  if ((match === undefined || includes(match)) && (noneMatch === undefined || !includes(noneMatch))) return
  const reason = current === undefined ? 'it does not exist' : `it points to ${current}`
  throw new RegistryError('MANIFEST_INVALID', {
    status: 412,
    message: `the condition of the request does not hold: ${reason}`,
  })
}
