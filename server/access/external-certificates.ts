import { X509Certificate } from 'node:crypto'

const block = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** The certificates of a PEM file. @throws Error when there is none in it, or one that is broken */
export function parseBundle(text: string): readonly X509Certificate[] {
  const blocks = text.match(block) ?? []
  if (blocks.length === 0)
    throw new Error('there is no certificate in it; it takes those of the token service, or of who signed them, as PEM')
  return blocks.map((pem, index) => {
    try {
      return new X509Certificate(pem)
    } catch (error) {
      throw new Error(`certificate ${index + 1} of ${blocks.length} in it is broken`, { cause: error })
    }
  })
}

/** No honest chain is longer. */
const longestChain = 10

/**
 * The first certificate of a chain (`x5c`, RFC 7515 section 4.1.6: base64 of DER, the signer's own first) when it leads to
 * one of the roots by signatures of authorities, all of them valid at that time; undefined else. A certificate that is among
 * the roots leads to itself.
 */
export function verifyChain(
  chain: readonly string[],
  roots: readonly X509Certificate[],
  now = new Date(),
): X509Certificate | undefined {
  if (chain.length > longestChain) return undefined
  const certificates = chain.map(readCertificate)
  const [leaf, ...between] = certificates.filter(certificate => certificate !== undefined)
  // A broken one makes nobody trusted.
  if (leaf === undefined || certificates.includes(undefined)) return undefined
  const left = new Set(between)
  for (let at: X509Certificate | undefined = leaf; at !== undefined && isInForce(at, now);) {
    const current: X509Certificate = at
    if (roots.some(root => root.raw.equals(current.raw) || hasSigned(root, current, now))) return leaf
    at = [...left].find(one => hasSigned(one, current, now))
    if (at !== undefined) left.delete(at)
  }
  return undefined
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate, now: Date): boolean {
  return (
    issuer.ca &&
    isInForce(issuer, now) &&
    // Names and key usage; the signature is another question.
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  )
}

function isInForce({ validFrom, validTo }: X509Certificate, now: Date): boolean {
  return new Date(validFrom) <= now && now <= new Date(validTo)
}

function readCertificate(der: string): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(der, 'base64'))
  } catch {
    return undefined
  }
}
