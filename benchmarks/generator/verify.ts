import { createHash } from 'node:crypto'
import { openConnection, type Target } from './connection.ts'
import { createContent, mebibyte } from './content.ts'
import { uploadBlob } from './registry.ts'

const repository = 'bench/verify'

/**
 * That a server stores what this generator sends, and that it reads back what was sent: blobs go up in each encoding
 * and come down whole and in parts, and are compared by their hashes.
 * @throws Error that tells what differs
 */
export async function verify(target: Target): Promise<void> {
  const connection = await openConnection(target)
  for (const way of ['chunked', 'length', 'put'] as const) {
    const content = createContent(3 * mebibyte + 12_345)
    await uploadBlob(connection, repository, content, way)
    const path = `/v2/${repository}/blobs/${content.digest}`
    const whole = await connection.expect('200', { method: 'GET', path, keep: true })
    const digest = `sha256:${createHash('sha256').update(whole.body).digest('hex')}`
    if (digest !== content.digest) throw new Error(`${target.name} sent ${digest} for ${content.digest} (${way})`)
    const from = 2 * mebibyte - 100
    const headers = `Range: bytes=${from}-${from + 199_999}\r\n`
    const part = await connection.expect('206', { method: 'GET', path, headers, keep: true })
    if (!part.body.equals(whole.body.subarray(from, from + 200_000)))
      throw new Error(`${target.name} sent another range than was asked for (${way})`)
  }
  connection.close()
}
