import { spawnSync } from 'node:child_process'
import { attempt } from '../process.ts'
import { findProgram } from '../programs.ts'

/**
 * An address of this machine outside of 127.0.0.0/8, for this process's life. Docker and containerd trust what is
 * inside more than any other registry: they speak http, or don't look at the certificate. It is one of those kept for
 * documentation (RFC 5737), put on the loopback interface, and it differs from process to process. Where that can't be
 * done the answer is 127.0.0.1, with a line that says so.
 */
export async function outsideAddress(): Promise<string> {
  const address = `198.51.100.${1 + (process.pid % 254)}`
  const ip = findProgram('ip')
  const added = ip === undefined ? undefined : await attempt(ip, ['address', 'add', `${address}/32`, 'dev', 'lo'])
  if (ip === undefined || added?.code !== 0) {
    console.log('TLS on 127.0.0.1: no other address could be had, so docker does not look at the certificate there')
    return '127.0.0.1'
  }
  process.on('exit', () => spawnSync(ip, ['address', 'delete', `${address}/32`, 'dev', 'lo']))
  return address
}
