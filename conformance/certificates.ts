import { mkdir, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { run } from './process.ts'

export interface Certificates {
  /** The server's certificate, PEM. */
  certificate: string
  key: string
  /** The private authority that clients have to trust, PEM. */
  ca: string
}

/** Makes a private authority and a certificate for the names and addresses given, below `folder`, by openssl. */
export async function makeCertificates(folder: string, names: readonly string[]): Promise<Certificates> {
  await mkdir(folder, { recursive: true })
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await openssl(
    'req',
    '-x509',
    ...newKey,
    '-days',
    '30',
    '-subj',
    '/CN=Conformance authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign',
  )
  await openssl('req', ...newKey, '-subj', '/CN=registry', '-keyout', 'server.key', '-out', 'server.csr')
  const alternatives = names.map(name => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',')
  const extensions = `subjectAltName=${alternatives}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`
  await writeFile(join(folder, 'server.ext'), extensions)
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '30',
    '-out',
    'server.crt',
    '-extfile',
    'server.ext',
  )
  return { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key'), ca: join(folder, 'ca.crt') }
}
