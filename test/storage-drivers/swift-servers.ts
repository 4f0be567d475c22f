import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { SwiftOptions } from '../../storage-drivers/swift/options.ts'
import { type Ceph, cephPrograms, startCeph } from '../services/ceph.ts'
import { type Keystone, keystonePrograms, startKeystone } from '../services/keystone.ts'
import { startSwift, type Swift, type SwiftOptions as ServerOptions, swiftPrograms } from '../services/swift.ts'
import { needs } from '../helpers/needs.ts'

/** Servers that end with the test file; undefined where their programs are not installed, which skips the file. */
export async function serveSwift(options: ServerOptions = {}): Promise<Swift | undefined> {
  return hasAll(swiftPrograms) ? untilTheEnd(folder => startSwift(folder, options)) : undefined
}

export async function serveKeystone(): Promise<Keystone | undefined> {
  return hasAll([...keystonePrograms, ...swiftPrograms]) ? untilTheEnd(folder => startKeystone(folder)) : undefined
}

/** With the file of its settings, for its own programs. */
export async function serveCeph(): Promise<(Ceph & { config: string }) | undefined> {
  if (!hasAll(cephPrograms)) return undefined
  return untilTheEnd(async folder => ({ ...(await startCeph(folder)), config: join(folder, 'ceph.conf') }))
}

function hasAll(programs: readonly string[]): boolean {
  return programs.every(program => needs(t, program) !== undefined)
}

async function untilTheEnd<T extends AsyncDisposable>(begin: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'swift-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const server = await begin(folder)
  t.teardown(() => server[Symbol.asyncDispose]())
  return server
}

/** Who logs in by version 1. */
export interface V1User {
  authUrl: string
  username: string
  password: string
}

export function swiftOptions({
  auth,
  ...rest
}: Pick<SwiftOptions, 'auth' | 'container'> & Partial<SwiftOptions>): SwiftOptions {
  return {
    auth,
    endpointType: 'public',
    prefix: 'registry',
    chunkSize: 5 * 1024 * 1024,
    parallel: 4,
    tls: { skipVerify: false },
    tempUrl: { containerKey: false },
    createContainer: true,
    ...rest,
  }
}

export function v1Options(
  { authUrl, username, password }: V1User,
  rest: { container: string } & Partial<SwiftOptions>,
): SwiftOptions {
  return swiftOptions({ auth: { url: authUrl, username, password }, ...rest })
}

/** Swift without the driver: what a test has to do or to see there itself. */
export interface RawSwift {
  url: string
  /** @param path behind the account's URL */
  ask(method: string, path: string, options?: { headers?: Record<string, string>; body?: string }): Promise<Response>
  /** The names of all objects in a container. */
  names(container: string): Promise<string[]>
}

export async function rawSwift({ authUrl, username, password }: V1User): Promise<RawSwift> {
  const login = await fetch(authUrl, { headers: { 'x-auth-user': username, 'x-auth-key': password } })
  const [token, url] = [login.headers.get('x-auth-token'), login.headers.get('x-storage-url')]
  await login.body?.cancel()
  if (token === null || url === null) throw new Error(`the login was answered by ${login.status}`)
  const ask: RawSwift['ask'] = (method, path, { headers, body } = {}) =>
    fetch(url + path, {
      method,
      headers: { ...headers, 'x-auth-token': token },
      ...(body === undefined ? {} : { body }),
    })
  return {
    url,
    ask,
    async names(container) {
      const text = await (await ask('GET', `/${container}?limit=10000`)).text()
      return text.split('\n').filter(name => name !== '')
    },
  }
}
