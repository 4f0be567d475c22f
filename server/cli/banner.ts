import type { Config } from '../config/config.ts'

/** What a person sees who has just started a registry: where it is, where its data is, how to use it, who may. */
export function banner(config: Config, addresses: readonly string[]): string {
  const [first = ''] = addresses
  const host = first
    .replace(/^https?:\/\//, '')
    .replace('0.0.0.0', '127.0.0.1')
    .replace('[::]', '127.0.0.1')
  const local = addresses.every(address => /\/\/(127\.|\[::1\]|localhost)/.test(address) || address.startsWith('/'))
  const push = first.startsWith('http')
    ? [
        'Push a first image:',
        `  podman push --tls-verify=false IMAGE ${host}/hello:1`,
        `  docker tag IMAGE ${host}/hello:1 && docker push ${host}/hello:1`,
        `  curl ${first}/v2/_catalog`,
      ]
    : []
  return [
    '',
    `Berth serves at ${addresses.join(' and ')}`,
    `Data: ${config.data}`,
    ...push,
    `There are no accounts: open to everyone ${local ? 'on this host' : 'who can reach this address'}, to read and to write.`,
    '',
    '',
  ].join('\n')
}
