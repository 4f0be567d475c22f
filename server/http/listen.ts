import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'

/** A TCP address (no host: all interfaces), or the path of a unix socket. */
export type ListenAddress = { readonly host?: string | undefined; readonly port: number } | { readonly path: string }

/** The framework logs a line for each address, and takes every one for plain HTTP. */
const listenTextResolver = () => 'server listens'

/** Listens. @returns the URLs, or the socket's path @throws Error with what to do when the address can't be had */
export async function listen(app: FastifyInstance, address: ListenAddress): Promise<string[]> {
  try {
    if ('path' in address) {
      await removeStaleSocket(address.path)
      await app.listen({ path: address.path, listenTextResolver })
      return [address.path]
    }
    await listenTcp(app, address)
  } catch (error) {
    const sentence = whatToDo(error, address)
    throw sentence === undefined ? error : new Error(sentence, { cause: error })
  }
  const scheme = app.server instanceof TlsServer ? 'https' : 'http'
  return app.addresses().flatMap(address => {
    if (typeof address === 'string') return [address]
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return [`${scheme}://${host}:${address.port}`]
  })
}

function whatToDo(error: unknown, address: ListenAddress): string | undefined {
  const setting = 'http.addr (REGISTRY_HTTP_ADDR)'
  const isPath = 'path' in address
  const where = isPath
    ? address.path
    : address.host === undefined
      ? `port ${address.port}`
      : `${address.host}:${address.port}`
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return `${where} is taken by another program: stop that one, or set ${setting}`
    case 'EACCES':
      return isPath
        ? `${where} can not be made: let Berth's user write to its folder, or set ${setting}`
        : `${where} can not be listened on by this user: choose a port from 1024 on in ${setting}`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${where} is no address of this machine: correct ${setting}, or leave its host out for every interface`
    case 'ENOENT':
    case 'ENOTDIR':
      return `${where} can not be made: its folder is not there; make it, or set ${setting}`
    case 'EINVAL':
      return isPath ? `${where} is too long for the path of a socket: set a shorter one in ${setting}` : undefined
    default:
      return undefined
  }
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

/** A socket's file outlives a process that was killed. @throws Error when something else stands at the path */
async function removeStaleSocket(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there === undefined) return
  if (!there.isSocket())
    throw new Error(
      `${path} is a file, and no socket: remove it, or set another path in http.addr (REGISTRY_HTTP_ADDR)`,
    )
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
