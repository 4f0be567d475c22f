import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../conformance/berth.ts'
import { run, type StartedProcess, start, untilReady } from '../../conformance/process.ts'

/** OpenStack's Keystone in uwsgi, on SQLite. It has one user of a project, and one for services that check tokens. */
export interface Keystone extends AsyncDisposable {
  /** Without a version. */
  url: string
  /** A member of the project, both of the domain `Default`. */
  user: { id: string; username: string; password: string; project: string; projectId: string }
  /** The same in a domain of their own. */
  stranger: { username: string; password: string; project: string; domain: string; domainId: string }
  service: { username: string; password: string; project: string }
  region: string
  /** Names the URL of the object store in the catalog, for every interface. */
  setObjectStore(url: string): Promise<void>
  /** Makes an application credential of the user for the project. @returns its id */
  addCredential(credential: { name: string; secret: string }): Promise<string>
  /** Makes a trust by which the user may act as itself in the project. @returns its id */
  addTrust(): Promise<string>
  process: StartedProcess
}

interface Credentials {
  username: string
  password: string
  project: string
}

/** The programs that it needs; the module of Swift that asks it comes with them. */
export const keystonePrograms = ['keystone-manage', 'uwsgi'] as const

const administrator = { username: 'admin', password: 'adminpw', project: 'admin' }
const service = { username: 'swift', password: 'swiftpw', project: 'service' }
const user = { username: 'alice', password: 'alicepw', project: 'registry' }
const stranger = { username: 'dave', password: 'davepw', project: 'corpregistry', domain: 'corp' }
const region = 'RegionOne'
/** Debian's own, which has the modules: another one may come first on the PATH. */
const python = '/usr/bin/python3'

/**
 * @param folder an empty one
 * @param options.tokenLife seconds
 */
export async function startKeystone(
  folder: string,
  { tokenLife = 3600 }: { tokenLife?: number } = {},
): Promise<Keystone> {
  await using stack = new AsyncDisposableStack()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const config = join(folder, 'keystone.conf')
  const keys = ['fernet', 'credential'].map(name => join(folder, name))
  for (const path of keys) {
    await mkdir(path, { mode: 0o700, recursive: true })
    for (const name of ['0', '1']) await writeFile(join(path, name), newKey(), { mode: 0o600 })
  }
  await writeFile(join(folder, 'policy.yaml'), '{}\n')
  await writeFile(config, settings(folder, tokenLife))

  const manage = (...args: string[]) => run(python, ['/usr/bin/keystone-manage', '--config-file', config, ...args])
  await manage('db_sync')
  // Else: "database is locked".
  await run(python, ['-c', walMode, join(folder, 'keystone.db')])
  const urls = ['public', 'internal', 'admin'].flatMap(kind => [`--bootstrap-${kind}-url`, `${url}/v3/`])
  await manage('bootstrap', '--bootstrap-password', administrator.password, '--bootstrap-region-id', region, ...urls)

  const process = await start(
    'uwsgi',
    `--plugins python3 --http-socket 127.0.0.1:${port} --wsgi-file /usr/bin/keystone-wsgi-public --master --processes 1
    --lazy-apps --die-on-term --need-app --disable-logging --buffer-size 65535 --rem-header Content-Length`.split(
      /\s+/,
    ),
    { env: { OS_KEYSTONE_CONFIG_DIR: folder, OS_KEYSTONE_CONFIG_FILES: config } },
  )
  stack.defer(async () => void (await process.stop(2)))
  await untilReady(async () => (await fetch(`${url}/v3`)).ok, { process, what: 'keystone', seconds: 60 })

  const api = apiOf(url)
  const ids = await seed(api)
  const running = stack.move()
  let objectStore: string | undefined
  return {
    url,
    user: { ...user, ...ids.user },
    stranger: { ...stranger, domainId: ids.domainId },
    service,
    region,
    async addCredential(credential) {
      const path = `/users/${ids.user.id}/application_credentials`
      return idOf(await api('POST', path, { as: user, body: { application_credential: credential } }))
    },
    async addTrust() {
      const { id, projectId } = ids.user
      const people = { trustor_user_id: id, trustee_user_id: id, impersonation: true }
      const trust = { ...people, project_id: projectId, roles: [{ name: 'member' }] }
      return idOf(await api('POST', '/OS-TRUST/trusts', { as: user, body: { trust } }))
    },
    async setObjectStore(storeUrl) {
      if (objectStore !== undefined) await api('DELETE', `/services/${objectStore}`)
      const id = await made(api, 'service', { name: 'swift', type: 'object-store' })
      objectStore = id
      for (const kind of ['public', 'internal', 'admin']) {
        await made(api, 'endpoint', { interface: kind, region, service_id: id, url: storeUrl })
      }
    },
    process,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Sends a request as the administrator, or as someone else. @returns the answer's JSON */
type Api = (method: string, path: string, options?: { body?: unknown; as?: Credentials }) => Promise<unknown>

function apiOf(url: string): Api {
  async function login({ username, password, project }: Credentials): Promise<string> {
    const domain = { id: 'default' }
    const answer = await fetch(`${url}/v3/auth/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        auth: {
          identity: { methods: ['password'], password: { user: { name: username, domain, password } } },
          scope: { project: { name: project, domain } },
        },
      }),
    })
    const token = answer.headers.get('x-subject-token')
    if (token === null) throw new Error(`${username} could not log in: ${await answer.text()}`)
    return token
  }

  const tokens = new Map<string, Promise<string>>()
  return async (method, path, { body, as = administrator } = {}) => {
    const token = tokens.get(as.username) ?? login(as)
    tokens.set(as.username, token)
    const answer = await fetch(`${url}/v3${path}`, {
      method,
      headers: { 'x-auth-token': await token, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} was answered by ${answer.status}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}

/** @returns the id of what was made */
async function made(api: Api, kind: string, value: Record<string, unknown>): Promise<string> {
  return idOf(await api('POST', `/${kind}s`, { body: { [kind]: value } }))
}

/** Of the one thing, or the first of the things, that an answer tells. */
function idOf(answer: unknown): string {
  for (const value of Object.values(Object(answer))) {
    const id: unknown = Reflect.get(Object(Array.isArray(value) ? value[0] : value), 'id')
    if (typeof id === 'string') return id
  }
  throw new Error(`Keystone told no id: ${JSON.stringify(answer)}`)
}

async function roleId(api: Api, name: string): Promise<string> {
  return idOf(await api('GET', `/roles?name=${name}`))
}

async function seed(api: Api): Promise<{ user: { id: string; projectId: string }; domainId: string }> {
  const [member, admin] = [await roleId(api, 'member'), await roleId(api, 'admin')]
  async function add(one: Credentials, role: string, domain = 'default'): Promise<{ id: string; projectId: string }> {
    const projectId = await made(api, 'project', { name: one.project, domain_id: domain })
    const id = await made(api, 'user', { name: one.username, password: one.password, domain_id: domain })
    await api('PUT', `/projects/${projectId}/users/${id}/roles/${role}`)
    return { id, projectId }
  }
  await add(service, admin)
  const ids = await add(user, member)
  const domainId = await made(api, 'domain', { name: stranger.domain })
  await add(stranger, member, domainId)
  return { user: ids, domainId }
}

/** As Fernet wants it: 32 bytes. */
function newKey(): string {
  return randomBytes(32).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

const walMode = 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("PRAGMA journal_mode=WAL")'

function settings(folder: string, tokenLife: number): string {
  return `[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///${folder}/keystone.db
sqlite_synchronous = false
[token]
provider = fernet
expiration = ${tokenLife}
[fernet_tokens]
key_repository = ${folder}/fernet
[fernet_receipts]
key_repository = ${folder}/fernet
[credential]
key_repository = ${folder}/credential
[cache]
# Of its one process: without it each use of a token asks the database dozens of times.
enabled = true
backend = dogpile.cache.memory
[identity]
# The least that there is: a login in 10 ms, and not in 300.
password_hash_rounds = 4
[oslo_policy]
policy_file = ${folder}/policy.yaml
policy_dirs = ${folder}/policy.d
`
}
