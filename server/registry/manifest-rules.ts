import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { ParsedManifest } from '../oci/manifest.ts'
import { isNonDistributable } from '../oci/media-types.ts'

/** What an operator asks of manifests (`validation.manifests` of the configuration). */
export interface ManifestRules {
  /** For descriptors with `urls`: undefined takes any. A URL must match one of `allow`, if it has any, and none of `deny`. */
  urls: { allow: readonly RegExp[]; deny: readonly RegExp[] } | undefined
  /** Whether a manifest is taken whose config or layers are not in the repository (a sparse one). */
  absentBlobs: boolean
  /** Which children of an index must be there when it is pushed. */
  children: 'all' | 'none' | readonly { os: string; architecture: string }[]
}

/** @throws RegistryError MANIFEST_INVALID when a descriptor has a URL that the rules refuse */
export function checkUrls(blobs: readonly Descriptor[], { urls }: ManifestRules): void {
  if (urls === undefined) return
  for (const url of blobs.flatMap(blob => blob.urls)) {
    const allowed =
      /^https?:\/\//i.test(url) && (urls.allow.length === 0 || urls.allow.some(pattern => pattern.test(url)))
    if (!allowed || urls.deny.some(pattern => pattern.test(url))) {
      throw new RegistryError('MANIFEST_INVALID', {
        message: 'manifest invalid: this registry does not accept the URL of a layer (validation.manifests.urls)',
        detail: { url },
      })
    }
  }
}

/** Whether the bytes must be in the repository: not those of a layer that is to be fetched from elsewhere. */
export function mustBeStored(blob: Descriptor): boolean {
  return blob.urls.length === 0 && !isNonDistributable(blob.mediaType)
}

/** What has to be in the repository before the manifest is: its config and layers, and children of an index. */
export function requirementsOf(
  manifest: ParsedManifest,
  rules: ManifestRules,
): { blobs: Digest[]; children: Digest[] } {
  const blobs = rules.absentBlobs ? [] : manifest.blobs.filter(mustBeStored)
  const children = manifest.children.filter(child => mustBePushedFirst(child, rules))
  return { blobs: blobs.map(blob => blob.digest), children: children.map(child => child.digest) }
}

function mustBePushedFirst({ platform }: Descriptor, { children }: ManifestRules): boolean {
  if (children === 'all') return true
  if (children === 'none') return false
  return children.some(one => one.os === platform?.os && one.architecture === platform.architecture)
}
