import { unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'

/** A TCP address (no host: all interfaces), or the path of a unix socket. */
export type ListenAddress = { readonly host?: string | undefined; readonly port: number } | { readonly path: string }

/** The framework logs a line for each address, and takes every one for plain HTTP. */
const listenTextResolver = () => 'server listens'

/** Listens. @returns the URLs, or the socket's path @throws Error with what to do when the address is taken */
export async function listen(app: FastifyInstance, address: ListenAddress): Promise<string[]> {
  try {
    if ('path' in address) {
      await removeStaleSocket(address.path)
      await app.listen({ path: address.path, listenTextResolver })
      return [address.path]
    }
    await listenTcp(app, address)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    const where =
      'path' in address
        ? address.path
        : `${address.host ?? 'port'}${address.host === undefined ? ' ' : ':'}${address.port}`
    if (error.code === 'EADDRINUSE')
      throw new Error(`${where} is taken by another program: stop that one, or set http.addr (REGISTRY_HTTP_ADDR)`, {
        cause: error,
      })
    if (error.code === 'EACCES')
      throw new Error(`${where} can not be listened on by this user: choose a port from 1024 on, or another path`, {
        cause: error,
      })
    throw error
  }
  const scheme = app.server instanceof TlsServer ? 'https' : 'http'
  return app.addresses().flatMap(address => {
    if (typeof address === 'string') return [address]
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return [`${scheme}://${host}:${address.port}`]
  })
}

/** Without a host: on all interfaces, of IPv6 too where the machine has it. */
async function listenTcp(
  app: FastifyInstance,
  { host, port }: { host?: string | undefined; port: number },
): Promise<void> {
  try {
    await app.listen({ host: host ?? '::', port, listenTextResolver })
  } catch (error) {
    if (host !== undefined || !(error instanceof Error && 'code' in error && error.code === 'EAFNOSUPPORT')) throw error
    await app.listen({ host: '0.0.0.0', port, listenTextResolver })
  }
}

/** A socket's file outlives a process that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  const stale = await new Promise<boolean>(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', error => resolve('code' in error && error.code === 'ECONNREFUSED'))
  })
  if (stale) await unlink(path)
}
