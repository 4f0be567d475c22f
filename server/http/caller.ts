import type { FastifyRequest } from 'fastify'
import { TLSSocket } from 'node:tls'
import type { Caller, ClientCertificate } from '../access/guard.ts'

/** By connection, since one does not change its certificate. */
const certificates = new WeakMap<TLSSocket, ClientCertificate | 'none'>()

/** What a request tells of its sender. */
export function callerOf(request: FastifyRequest): Caller {
  return {
    authorization: request.headers.authorization,
    // Through many proxies it takes its time to find out, and only failures are counted by it.
    get address() {
      return request.ip
    },
    get certificate() {
      const { socket } = request.raw
      return socket instanceof TLSSocket ? certificateOf(socket) : undefined
    },
  }
}

function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  const known = certificates.get(socket) ?? readCertificate(socket) ?? 'none'
  certificates.set(socket, known)
  return known === 'none' ? undefined : known
}

/** Undefined when there is none, or one that no known authority has signed. */
function readCertificate(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined
  const { subject } = socket.getPeerCertificate()
  const name = valuesOf(subject?.CN)[0]
  return name === undefined ? undefined : { name, groups: valuesOf(subject.OU) }
}

/** A part of a name that may be there several times. */
function valuesOf(part: string | readonly string[] | undefined): readonly string[] {
  return part === undefined ? [] : typeof part === 'string' ? [part] : part
}
