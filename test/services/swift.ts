import { mkdir, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../conformance/berth.ts'
import { run, type StartedProcess, start, untilReady } from '../../conformance/process.ts'
import type { Keystone } from './keystone.ts'

/**
 * OpenStack Swift on one disk with one replica: the servers of accounts, containers and objects, the proxy before them,
 * and the memcached that they share. Each is a process in the foreground, and all of it lies below one folder.
 */
export interface Swift extends AsyncDisposable {
  /** Of the proxy. */
  endpoint: string
  /** Of Swift's own login, version 1; there is none where Keystone lets people in. */
  tempAuth: { authUrl: string; username: string; password: string }
  /** Another user, of another account. */
  otherUser: { username: string; password: string }
  /** Makes the proxy forget every token that it gave, and what it knows of accounts and containers. */
  forgetTokens(): Promise<void>
  proxy: StartedProcess
  objects: StartedProcess
}

export interface SwiftOptions {
  /** Who lets people in, instead of Swift itself. */
  keystone?: Keystone
  /** Seconds for which a token of its own is good. */
  tokenLife?: number
  /** Settings of the filter `ratelimit`, which is not in the pipeline without them. */
  rateLimit?: Readonly<Record<string, number>>
  maxManifestSegments?: number
  /** Filters that are left out of the pipeline. */
  without?: readonly string[]
}

/** The programs that it needs. */
export const swiftPrograms = [
  'swift-proxy-server',
  'swift-account-server',
  'swift-container-server',
  'swift-object-server',
  'memcached',
] as const

const tester = { username: 'test:tester', password: 'testing' }
const otherUser = { username: 'test2:tester2', password: 'testing2' }
/** Debian's own, which has the modules: another one may come first on the PATH. */
const python = '/usr/bin/python3'

/** @param folder an empty one, on a file system with attributes of users (ext4, xfs, tmpfs) */
export async function startSwift(folder: string, options: SwiftOptions = {}): Promise<Swift> {
  await using stack = new AsyncDisposableStack()
  const ports: Ports = {
    proxy: await freePort(),
    account: await freePort(),
    container: await freePort(),
    object: await freePort(),
    memcached: await freePort(),
  }
  const endpoint = `http://127.0.0.1:${ports.proxy}`
  for (const name of ['etc', 'disks/d1', 'recon']) await mkdir(join(folder, name), { recursive: true })
  await writeConfiguration(folder, ports, options)
  await run(python, ['-c', makeRings, join(folder, 'etc'), ...services.map(name => `${name}:${ports[name]}`)])
  await options.keystone?.setObjectStore(`${endpoint}/v1/AUTH_%(tenant_id)s`)

  async function launch(command: string, args: readonly string[]): Promise<StartedProcess> {
    const process = await start(command, args)
    stack.defer(async () => void (await process.stop(2)))
    return process
  }
  const swiftConf = join(folder, 'etc/swift.conf')
  const serve = (name: string) =>
    launch(python, ['-c', launcher, swiftConf, `/usr/bin/swift-${name}-server`, join(folder, `etc/${name}.conf`), '-v'])

  const memcached = await launch('memcached', [
    '-l',
    '127.0.0.1',
    '-p',
    String(ports.memcached),
    '-U',
    '0',
    ...asRoot(),
  ])
  const [account, container, objects, proxy] = await Promise.all(['account', 'container', 'object', 'proxy'].map(serve))
  if (account === undefined || container === undefined || objects === undefined || proxy === undefined)
    throw new Error('Swift has four servers')
  await Promise.all([
    untilReady(() => listens(ports.memcached), { process: memcached, what: 'memcached' }),
    untilReady(() => listens(ports.account), { process: account, what: 'swift-account-server', seconds: 60 }),
    untilReady(() => listens(ports.container), { process: container, what: 'swift-container-server', seconds: 60 }),
    untilReady(() => listens(ports.object), { process: objects, what: 'swift-object-server', seconds: 60 }),
    untilReady(async () => (await fetch(`${endpoint}/healthcheck`)).ok, {
      process: proxy,
      what: 'swift-proxy-server',
      seconds: 60,
    }),
  ])

  const running = stack.move()
  return {
    endpoint,
    tempAuth: { authUrl: `${endpoint}/auth/v1.0`, ...tester },
    otherUser,
    forgetTokens: () => flush(ports.memcached),
    proxy,
    objects,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

const services = ['account', 'container', 'object'] as const
type Ports = Record<(typeof services)[number] | 'proxy' | 'memcached', number>

/** As root memcached wants to be told so. */
function asRoot(): string[] {
  return process.getuid?.() === 0 ? ['-u', 'root'] : []
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })
}

/** What was stored within the last second is only gone when that is over. */
async function flush(port: number): Promise<void> {
  await sleep(1100)
  await new Promise<void>((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write('flush_all\r\n'))
    socket.once('error', reject).once('data', () => {
      socket.destroy()
      resolve()
    })
  })
}

/** The builder's own program does this in nine calls of half a second. */
const makeRings = `
import sys
from swift.common.ring import RingBuilder
for service in sys.argv[2:]:
    name, port = service.split(':')
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(id=0, region=1, zone=1, ip='127.0.0.1', port=int(port), replication_ip='127.0.0.1',
                         replication_port=int(port), device='d1', weight=1.0, meta=''))
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (sys.argv[1], name))
`

/** The servers read /etc/swift/swift.conf whatever they are told: the library gets ours before Debian's program runs. */
const launcher = `
import runpy, sys
import swift.common.utils as utils
utils.SWIFT_CONF_FILE = sys.argv[1]
utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b''
utils.validate_hash_conf()
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name='__main__')
`

async function writeConfiguration(folder: string, ports: Ports, options: SwiftOptions): Promise<void> {
  const etc = join(folder, 'etc')
  await writeFile(
    join(etc, 'swift.conf'),
    `[swift-hash]
swift_hash_path_suffix = suffix
swift_hash_path_prefix = prefix
[storage-policy:0]
name = Policy-0
default = yes
`,
  )
  const common = `bind_ip = 127.0.0.1
swift_dir = ${etc}
user = ${process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? 'nobody')}
workers = 0
devices = ${join(folder, 'disks')}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
recon_cache_path = ${join(folder, 'recon')}
`
  for (const name of services) {
    await writeFile(
      join(etc, `${name}.conf`),
      `[DEFAULT]
${common}bind_port = ${ports[name]}
[pipeline:main]
pipeline = ${name}-server
[app:${name}-server]
use = egg:swift#${name}
`,
    )
  }
  await writeFile(
    join(etc, 'proxy.conf'),
    `[DEFAULT]
${common}bind_port = ${ports.proxy}
${proxySettings(ports, options)}`,
  )
}

function proxySettings(
  ports: Ports,
  { keystone, tokenLife = 86_400, rateLimit, maxManifestSegments = 1000, without = [] }: SwiftOptions,
): string {
  const memcached = `127.0.0.1:${ports.memcached}`
  const pipeline = [
    'catch_errors gatekeeper healthcheck proxy-logging cache',
    rateLimit === undefined ? '' : 'ratelimit',
    'listing_formats bulk tempurl',
    keystone === undefined ? 'tempauth' : 'authtoken keystoneauth',
    'copy container-quotas account-quotas slo dlo versioned_writes symlink proxy-logging proxy-server',
  ]
    .flatMap(part => part.split(' '))
    .filter(name => name !== '' && !without.includes(name))
  const auth =
    keystone === undefined
      ? `[filter:tempauth]
use = egg:swift#tempauth
token_life = ${tokenLife}
user_${tester.username.replace(':', '_')} = ${tester.password} .admin
user_${otherUser.username.replace(':', '_')} = ${otherUser.password} .admin
`
      : `[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = ${keystone.url}
auth_url = ${keystone.url}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = ${keystone.service.project}
username = ${keystone.service.username}
password = ${keystone.service.password}
delay_auth_decision = True
memcached_servers = ${memcached}
include_service_catalog = False
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin, member
`
  const limits = Object.entries(rateLimit ?? {}).map(([name, value]) => `${name} = ${value}`)
  return `[pipeline:main]
pipeline = ${pipeline.join(' ')}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# One replica on one disk: nobody else is to be asked.
request_node_count = 1
${rateLimit === undefined ? '' : 'recheck_container_existence = 1'}
${auth}[filter:cache]
use = egg:swift#memcache
memcache_servers = ${memcached}
[filter:tempurl]
use = egg:swift#tempurl
allowed_digests = sha1 sha256 sha512
[filter:slo]
use = egg:swift#slo
max_manifest_segments = ${maxManifestSegments}
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
[filter:ratelimit]
use = egg:swift#ratelimit
${limits.join('\n')}
${plainFilters.map(([name, program]) => `[filter:${name}]\nuse = egg:swift#${program}\n`).join('')}`
}

const plainFilters = [
  ['catch_errors', 'catch_errors'],
  ['gatekeeper', 'gatekeeper'],
  ['healthcheck', 'healthcheck'],
  ['proxy-logging', 'proxy_logging'],
  ['listing_formats', 'listing_formats'],
  ['bulk', 'bulk'],
  ['copy', 'copy'],
  ['container-quotas', 'container_quotas'],
  ['account-quotas', 'account_quotas'],
  ['dlo', 'dlo'],
  ['symlink', 'symlink'],
] as const
