/** A token service of someone else's: keys and certificates made by openssl, tokens signed by jose. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type JWTHeaderParameters, SignJWT } from 'jose'
import { run } from '../../conformance/process.ts'

export const issuer = 'auth.example.com'
export const service = 'registry.example.com'

/** A certificate with its key. */
export interface Signer {
  certificate: X509Certificate
  /** As `x5c` has it. */
  der: string
  key: KeyObject
  algorithm: string
  /** The PEM file of the certificate. */
  file: string
}

export interface SignerOptions {
  /** Who signs the certificate; itself when left out. */
  by?: Signer
  /** Whether it may sign others. */
  authority?: boolean
  algorithm?: 'ES256' | 'RS256'
  /** Days until it ends; it has ended already when there are fewer than none. */
  days?: number
}

export async function createSigner(folder: string, name: string, options: SignerOptions = {}): Promise<Signer> {
  const { by, authority = false, algorithm = 'ES256', days = 30 } = options
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const kind = algorithm === 'ES256' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048']
  await openssl(
    'req',
    '-newkey',
    ...kind,
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    'req.csr',
  )
  await writeFile(join(folder, 'ext'), `basicConstraints=critical,CA:${authority ? 'TRUE' : 'FALSE'}\n`)
  const signer =
    by === undefined
      ? ['-signkey', `${name}.key`]
      : ['-CA', by.file, '-CAkey', by.file.replace(/crt$/, 'key'), '-CAcreateserial']
  await openssl(
    'x509',
    '-req',
    '-in',
    'req.csr',
    '-out',
    `${name}.crt`,
    '-extfile',
    'ext',
    '-days',
    String(days),
    ...signer,
  )
  const file = join(folder, `${name}.crt`)
  const certificate = new X509Certificate(await readFile(file))
  const key = createPrivateKey(await readFile(join(folder, `${name}.key`)))
  return { certificate, der: certificate.raw.toString('base64'), key, algorithm, file }
}

export interface TokenWish {
  header?: Partial<JWTHeaderParameters>
  /** Laid over those of a token that is good. */
  claims?: Record<string, unknown>
  access?: readonly unknown[]
}

/** A token that is good for five minutes, unless its claims say otherwise. */
export function signToken(
  { key, algorithm }: Pick<Signer, 'key' | 'algorithm'>,
  { header, claims = {}, access = [] }: TokenWish,
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const payload = {
    iss: issuer,
    aud: service,
    sub: 'alice',
    exp: now + 300,
    nbf: now,
    iat: now,
    jti: '1',
    access,
    ...claims,
  }
  return new SignJWT(payload).setProtectedHeader({ typ: 'JWT', ...header, alg: header?.alg ?? algorithm }).sign(key)
}

/** Another text where a token has its payload or its header: it keeps the signature. */
export function tamper(token: string, at: 'header' | 'payload', change: Record<string, unknown>): string {
  const parts = token.split('.')
  const index = at === 'header' ? 0 : 1
  const found: unknown = JSON.parse(Buffer.from(parts[index] ?? '', 'base64url').toString())
  const changed = JSON.stringify({ ...(typeof found === 'object' ? found : {}), ...change })
  return parts.with(index, Buffer.from(changed).toString('base64url')).join('.')
}

/** The access of a token to one repository. */
export function accessTo(name: string, ...actions: string[]) {
  return { type: 'repository', name, actions }
}
