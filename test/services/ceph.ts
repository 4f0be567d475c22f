import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { run, type StartedProcess, start, untilReady } from '../../conformance/process.ts'
import { needs } from '../helpers/needs.ts'

/**
 * The smallest real Ceph: one monitor, one OSD whose store is memory, one RADOS Gateway with its S3 and Swift APIs. Each
 * is a process in the foreground, and all of it lies below one folder.
 */
export interface Ceph extends AsyncDisposable {
  s3: { endpoint: string; accessKey: string; secretKey: string }
  /** Of the gateway's Swift API, by its own auth version 1. */
  swift: { authUrl: string; username: string; password: string }
  gateway: StartedProcess
  osd: StartedProcess
}

/** The programs that it needs. */
export const cephPrograms = ['ceph-mon', 'ceph-osd', 'monmaptool', 'ceph', 'radosgw', 'radosgw-admin'] as const

const user = { uid: 'kube', subuser: 'registry' }
const s3Keys = { accessKey: 'KUBEACCESSKEY', secretKey: 'kubesecretkey' }
const swiftKey = 'secretkey'
/** The name of a key for encryption at rest, which the gateway has of its own. */
export const kmsKey = 'test-key'

/**
 * @param folder an empty one, not too deep: the path of a socket below it has at most 107 bytes
 * @param options.bytes how much it can keep, all of it in memory
 */
export async function startCeph(folder: string, { bytes = 4 * 2 ** 30 }: { bytes?: number } = {}): Promise<Ceph> {
  await using stack = new AsyncDisposableStack()
  const [monitorPort, gatewayPort] = [await freePort(), await freePort()]
  const config = join(folder, 'ceph.conf')
  for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) await mkdir(join(folder, name), { recursive: true })
  const fsid = randomUUID()
  await writeFile(config, settings({ folder, fsid, monitorPort, bytes }))
  const osdId = randomUUID()

  const ceph = (...args: string[]) => run('ceph', ['-c', config, '--connect-timeout', '10', ...args])
  const admin = (...args: string[]) => run('radosgw-admin', ['-c', config, '-n', 'client.rgw', ...args])
  async function launch(name: string, args: readonly string[]): Promise<StartedProcess> {
    const process = await start(name, ['-c', config, '-f', ...args])
    stack.defer(async () => void (await process.stop(1)))
    return process
  }

  const map = join(folder, 'monmap')
  const address = `[v1:127.0.0.1:${monitorPort}]`
  await run('monmaptool', ['--create', '--clobber', '--fsid', fsid, '--addv', 'a', address, map])
  await run('ceph-mon', ['-c', config, '--mkfs', '-i', 'a', '--monmap', map])
  const monitor = await launch('ceph-mon', ['-i', 'a'])
  await untilReady(async () => (await ceph('mon', 'stat')).code === 0, { process: monitor, what: 'ceph-mon' })

  await again(() => ceph('osd', 'new', osdId, '0'))
  await run('ceph-osd', ['-c', config, '-i', '0', '--mkfs', '--osd-uuid', osdId])
  // Without --no-mon-config it asks before it has the map, and is told of a wrong cluster.
  const osd = await launch('ceph-osd', ['-i', '0', '--no-mon-config'])
  const isUp = async () => (await ceph('osd', 'stat', '-f', 'json')).stdout.includes('"num_up_osds":1')
  await untilReady(isUp, { process: osd, what: 'ceph-osd', seconds: 60 })

  // Without tcp_nodelay each small request on a connection that is kept takes 46 ms.
  const frontend = `beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`
  const gateway = await launch('radosgw', [
    '-n',
    'client.rgw',
    '--rgw_data',
    join(folder, 'rgw'),
    '--rgw_frontends',
    frontend,
  ])
  await untilReady(() => listens(gatewayPort), { process: gateway, what: 'radosgw', seconds: 60 })
  const { uid, subuser } = user
  const keys = ['--access-key', s3Keys.accessKey, '--secret-key', s3Keys.secretKey]
  await again(() => admin('user', 'create', '--uid', uid, '--display-name', 'kubernetes user', ...keys))
  const swift = ['--subuser', `${uid}:${subuser}`, '--access=full', '--secret', swiftKey, '--key-type=swift']
  await again(() => admin('subuser', 'create', '--uid', uid, ...swift))

  const running = stack.move()
  const endpoint = `http://127.0.0.1:${gatewayPort}`
  return {
    s3: { endpoint, ...s3Keys },
    swift: { authUrl: `${endpoint}/auth/v1`, username: `${uid}:${subuser}`, password: swiftKey },
    gateway,
    osd,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** One for a whole test; undefined where its programs are missing: the test is skipped then, and says so. */
export async function startCephFor(t: Test): Promise<Ceph | undefined> {
  if (!cephPrograms.every(program => needs(t, program) !== undefined)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'ceph-'))
  const ceph = await startCeph(folder)
  t.teardown(async () => {
    await ceph[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  return ceph
}

/** A client may send its command before it has the map, and be told that the cluster is another one. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === 5) throw error
      await sleep(200)
    }
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => {
      socket.destroy()
      resolve(true)
    }).once('error', () => resolve(false))
  })
}

interface Settings {
  folder: string
  fsid: string
  monitorPort: number
  bytes: number
}

function settings({ folder, fsid, monitorPort, bytes }: Settings): string {
  return `[global]
fsid = ${fsid}
mon_host = v1:127.0.0.1:${monitorPort}
ms_bind_msgr2 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = ${folder}/run
admin_socket = ${folder}/run/$name.asok
log_file = ${folder}/log/$name.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
[mon]
mon_data = ${folder}/mon/data
mon_cluster_log_file = ${folder}/log/cluster.log
mon_data_avail_warn = 1
mon_data_avail_crit = 0
# Changes of the map at once: by default they are gathered for a second, which makes a start take fifteen.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
[osd]
osd_data = ${folder}/osd
osd_objectstore = memstore
memstore_device_bytes = ${bytes}
osd_crush_initial_weight = 1
osd_fast_shutdown = false
osd_op_num_shards = 2
osd_op_num_threads_per_shard = 2
osd_max_object_name_len = 2048
osd_max_object_namespace_len = 256
mon_osd_full_ratio = 0.99
[client]
rgw_thread_pool_size = 32
rgw_dynamic_resharding = false
# A bucket may be a host name below it; a request that names an address has it in its path.
rgw_dns_name = localhost
rgw_enable_usage_log = false
rgw_swift_account_in_url = false
rgw_crypt_require_ssl = false
rgw_crypt_s3_kms_backend = testing
rgw_crypt_s3_kms_encryption_keys = ${kmsKey}=${randomBytes(32).toString('base64')}
`
}
