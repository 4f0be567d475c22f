import { BlockList, isIP } from 'node:net'

/** A set of Internet addresses, given as networks. */
export interface Networks {
  /**
   * Whether an address is in one of them. It may stand as sockets and proxies write it: IPv4 inside IPv6
   * (`::ffff:10.0.0.1`), with a zone (`fe80::1%eth0`), with a port (`10.0.0.1:443`). What is no address is in none.
   */
  has(address: string | undefined): boolean
}

interface Network {
  address: string
  family: 'ipv4' | 'ipv6'
  /** Bits that are the same for all of it. */
  prefix: number
}

/** Whether a text is a network as in `10.0.0.0/8` or `2001:db8::/32`, or a single address. */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined
}

/** @throws TypeError when one of the texts is no network */
export function createNetworks(texts: readonly string[]): Networks {
  // One list would have every IPv4 address in the IPv6 network of all.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const text of texts) {
    const network = parseNetwork(text)
    if (network === undefined) throw new TypeError(`${text} is not a network`)
    lists[network.family].addSubnet(network.address, network.prefix, network.family)
  }
  return {
    has(text) {
      const found = text === undefined ? undefined : parseAddress(withoutPort(text))
      return found !== undefined && lists[found.family].check(found.address, found.family)
    },
  }
}

function parseNetwork(text: string): Network | undefined {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const parsed = parseAddress(address)
  if (parsed === undefined) return undefined
  const most = isIP(address) === 4 ? 32 : 128
  const prefix = bits === undefined ? most : Number(bits)
  if (prefix > most) return undefined
  if (parsed.family === 'ipv6' || most === 32) return { ...parsed, prefix }
  // IPv4 that was written inside IPv6, of which the first 96 bits say that it is.
  return prefix < 96 ? { address, family: 'ipv6', prefix } : { ...parsed, prefix: prefix - 96 }
}

function parseAddress(text: string): Pick<Network, 'address' | 'family'> | undefined {
  const address = text.replace(/%.*$/, '')
  switch (isIP(address)) {
    case 4:
      return { address, family: 'ipv4' }
    case 6: {
      const inside = insideOf(address)
      return inside === undefined ? { address, family: 'ipv6' } : { address: inside, family: 'ipv4' }
    }
    default:
      return undefined
  }
}

/** The IPv4 address that an IPv6 one stands for (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2), however it is written. */
function insideOf(address: string): string | undefined {
  // URLs have one spelling for each address, in which the last four bytes are two numbers of 16 bits.
  const [, high, low] = /^\[::ffff:([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(new URL(`http://[${address}]`).hostname) ?? []
  if (high === undefined || low === undefined) return undefined
  return [high, low].flatMap(part => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]).join('.')
}

function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
}
