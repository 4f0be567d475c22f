/** Certificates as an operator would make them, by openssl. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../conformance/process.ts'
import type { TlsFiles } from '../../server/http/tls.ts'

/** Paths of PEM files. */
export interface Pair {
  certificate: string
  key: string
}

export interface Authority extends Pair {
  /** Signs a certificate of this name, of these organizational units, for 127.0.0.1 and localhost, good for servers and for clients. */
  sign(name: string, units?: readonly string[]): Promise<Pair>
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** A private authority with its files below `folder`. */
export async function createAuthority(folder: string, name = 'Authority'): Promise<Authority> {
  await mkdir(folder, { recursive: true })
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const pathOf = (file: string) => join(folder, file)
  const extensions = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']
  const authority = ['-subj', `/CN=${name}`, '-keyout', 'ca.key', '-out', 'ca.crt', ...extensions]
  await openssl('req', '-x509', ...newKey, '-days', '30', ...authority)
  await writeFile(
    pathOf('leaf.ext'),
    'subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n',
  )
  return {
    certificate: pathOf('ca.crt'),
    key: pathOf('ca.key'),
    async sign(leaf, units = []) {
      const subject = `${units.map(unit => `/OU=${unit}`).join('')}/CN=${leaf}`
      await openssl('req', ...newKey, '-subj', subject, '-keyout', `${leaf}.key`, '-out', `${leaf}.csr`)
      const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30', '-extfile', 'leaf.ext']
      await openssl('x509', '-req', '-in', `${leaf}.csr`, '-out', `${leaf}.crt`, ...signer)
      return { certificate: pathOf(`${leaf}.crt`), key: pathOf(`${leaf}.key`) }
    },
  }
}

/** `http.tls` with the defaults of the configuration, and no client certificates. */
export function tlsFiles(pair: Pair, rest: Partial<TlsFiles> = {}): TlsFiles {
  return {
    ...pair,
    clientcas: [],
    clientauth: 'require-and-verify-client-cert',
    minimumtls: 'TLSv1.2',
    ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA',
    ...rest,
  }
}

/** What a client of `node:tls` needs to show a certificate. */
export async function credentials(pair: Pair): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readFile(pair.certificate), key: await readFile(pair.key) }
}
