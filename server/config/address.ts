import { isAbsolute, resolve } from 'node:path'

/** Where a TCP server listens: without a host, on every interface. IPv6 hosts stand without brackets. */
export interface TcpAddress {
  host?: string
  port: number
}

/** Where a server listens: on a TCP port, or on a socket in the file system. */
export type Address = TcpAddress | { path: string }

/** Reads `HOST:PORT`, `:PORT` or `[IPV6]:PORT`, as Go's net.Listen takes them. Undefined when the text is none. */
export function parseTcpAddress(text: string): TcpAddress | undefined {
  const match = /^(?:\[(?<six>[^\]]*)\]|(?<four>[^:[\]]*)):(?<port>\d{1,5})$/.exec(text)
  const port = Number(match?.groups?.['port'])
  if (!match || port > 65_535) return undefined
  const host = match.groups?.['six'] ?? match.groups?.['four'] ?? ''
  return host === '' ? { port } : { host, port }
}

/** Reads `http.addr` by the meaning which `http.net` gives it; a relative socket path counts from `cwd`. */
export function parseAddress(net: 'tcp' | 'unix', text: string, cwd: string): Address | undefined {
  if (net === 'tcp') return parseTcpAddress(text)
  return text === '' ? undefined : { path: isAbsolute(text) ? text : resolve(cwd, text) }
}

/** The spelling that the parsers above read back as the same. */
export function formatAddress(address: Address): string {
  if ('path' in address) return address.path
  const { host = '', port } = address
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
