import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { Body } from '../../bytes/body.ts'
import type { BufferPool } from '../../bytes/buffers.ts'
import { hasBody } from '../bodies.ts'
import { directBodyOf } from './direct-reads.ts'
import { streamBody } from './stream-body.ts'

/** The body of a request, to be read in buffers; the same for each call. Nothing is read before it is asked for. */
export type OpenBody = (request: FastifyRequest) => Body

const nothing: Body = { next: async () => undefined, stop() {} }

export function createBodyOpener({ pool, idleMs }: { pool: BufferPool; idleMs: number }): OpenBody {
  const opened = new WeakMap<IncomingMessage, Body>()
  return request => {
    const { raw } = request
    const known = directBodyOf(raw) ?? opened.get(raw)
    if (known !== undefined) return known
    const body = hasBody(request) ? streamBody(raw, { pool, idleMs }) : nothing
    opened.set(raw, body)
    return body
  }
}
