import { type Connection, openConnections } from '../generator/connection.ts'
import { repeat } from '../generator/repeat.ts'
import type { Prepared, Turn } from './load.ts'

export interface RepeatedOptions {
  /** Clients at once. */
  atOnce: number
  /** Bytes of the buffer each reads into; 64 KiB when left out. */
  buffer?: number
  /** One operation. @returns bytes of blobs that went over the wire */
  operation: (connection: Connection, number: number) => Promise<number>
}

/** An operation that is repeated for some seconds, after some that are not measured. */
export async function repeated(
  { target, extent }: Turn,
  { atOnce, buffer, operation }: RepeatedOptions,
): Promise<Prepared> {
  const connections = await openConnections(target, atOnce, buffer === undefined ? {} : { buffer })
  // Numbers go on after the warming up: each is used once.
  let number = 0
  const next = (connection: Connection) => operation(connection, number++)
  await repeat({ connections, seconds: extent.warmSeconds, operation: next })
  return {
    run: () => repeat({ connections, seconds: extent.seconds, operation: next }),
    close: () => {
      for (const connection of connections) connection.close()
    },
  }
}
