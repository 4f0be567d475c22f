import { createNetworks } from '../lib/networks.ts'

/**
 * Whose word counts about the address of a client, in the form that fastify's `trustProxy` has: without anyone the
 * client is who the connection is from. Else `X-Forwarded-For` is read from its end, and the client is the first who
 * is none of these proxies.
 * @param proxies networks, and `unix` for those who connect over a socket of the file system (`http.trustedproxies`)
 */
export function trustedProxies(proxies: readonly string[]): false | ((address: string | undefined) => boolean) {
  if (proxies.length === 0) return false
  const networks = createNetworks(proxies.filter(proxy => proxy !== unixSocket))
  const sockets = proxies.includes(unixSocket)
  // Only connections over a socket are from no address.
  return address => (address === undefined ? sockets : networks.has(address))
}

const unixSocket = 'unix'
