import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { HealthCheckSettings } from '../../server/registry/health-checks.ts'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import { startRegistry, type TestRegistry } from '../helpers/registry.ts'
import { until } from './connection.ts'

const none: HealthCheckSettings = {
  storagedriver: { enabled: false, interval: 20, threshold: 3 },
  file: [],
  http: [],
  tcp: [],
}

interface Report {
  status: string
  checks: Record<string, string>
}

async function ready({ url }: TestRegistry): Promise<Report & { code: number }> {
  const response = await fetch(`${url}/readyz`)
  const report: unknown = await response.json()
  return { ...(report as Report), code: response.status }
}

const status = async (url: string, init?: RequestInit) => (await fetch(url, init)).status

/** Asks until the API is refused, or taken again. */
async function untilApi({ url }: TestRegistry, code: number): Promise<void> {
  await until(async () => (await status(`${url}/v2/`)) === code)
}

t.test('a registry without checks is alive and ready, and says so to everyone', async t => {
  const registry = await startRegistry(t)
  t.same(await ready(registry), { code: 200, status: 'ok', checks: { database: 'ok', storage: 'ok' } })
  for (const path of ['/', '/livez', '/readyz']) {
    t.equal(await status(registry.url + path, { method: 'HEAD' }), 200, path)
    t.equal(await status(registry.url + path), 200, path)
  }
})

t.test('while a file check fails the API is unavailable, and only the API', async t => {
  const file = join(t.testdir(), 'down')
  const registry = await startRegistry(t, { health: { ...none, file: [{ file, interval: 20, threshold: 1 }] } })
  t.same(await ready(registry), { code: 200, status: 'ok', checks: { database: 'ok', storage: 'ok', [file]: 'ok' } })
  t.equal(await status(`${registry.url}/v2/`), 200)

  await writeFile(file, '')
  await untilApi(registry, 503)
  for (const path of ['/v2/', '/v2', '/v2/a/manifests/latest', '/v2/a/blobs/uploads/', '/v2/_catalog', '/v2/nothing']) {
    const response = await fetch(registry.url + path)
    t.equal(response.status, 503, path)
    t.equal(response.headers.get('retry-after'), '10')
    t.match(await response.json(), { errors: [{ code: 'UNAVAILABLE', message: /health check/ }] })
  }
  const upload = await fetch(`${registry.url}/v2/a/blobs/uploads/`, { method: 'POST', body: Buffer.alloc(1_000_000) })
  t.equal(upload.status, 503)
  t.match(await ready(registry), { code: 503, status: 'not ready', checks: { [file]: 'the file exists' } })
  t.equal(await status(`${registry.url}/`), 200)
  t.equal(await status(`${registry.url}/livez`), 200)
  t.equal(await status(`${registry.url}/elsewhere`), 404)

  await rm(file)
  await untilApi(registry, 200)
  t.equal((await ready(registry)).code, 200)
})

t.test('below a prefix too', async t => {
  const file = join(tmpdir(), `berth-down-${randomUUID()}`)
  t.teardown(() => rm(file))
  await writeFile(file, '')
  const health = { ...none, file: [{ file, interval: 20, threshold: 1 }] }
  const registry = await startRegistry(t, { health, locations: { prefix: '/my/registry/' } })
  await until(async () => (await status(`${registry.url}/my/registry/v2/`)) === 503)
  t.equal(await status(`${registry.url}/v2/`), 404)
  t.equal(await status(`${registry.url}/my/registry/`), 200)
})

t.test('a check counts after so many failures in a row, and one success takes them back', async t => {
  const outcomes = ['bad', 'bad', 'good', 'bad', 'bad', 'bad', 'good']
  const seen: string[] = []
  const looked = Promise.withResolvers<void>()
  const states: (string | undefined)[] = []
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    async check() {
      states.push(registry?.services.health.failures()[0])
      const outcome = outcomes[seen.length] ?? 'good'
      seen.push(outcome)
      if (seen.length === outcomes.length + 2) looked.resolve()
      if (outcome === 'bad') throw new Error('the disk has come off')
    },
  })
  const health = { ...none, storagedriver: { enabled: true, interval: 20, threshold: 3 } }
  let registry: TestRegistry | undefined
  registry = await startRegistry(t, { health, wrapDriver })
  await looked.promise
  const failed = 'storagedriver_filesystem'
  t.same(states.slice(1, 9), [undefined, undefined, undefined, undefined, undefined, failed, undefined, undefined])
})

t.test('a failing store is told by name, with what it says, in the log once', async t => {
  const lines: { level: string; fields: unknown; message: string }[] = []
  const log = logInto(lines)
  let broken = true
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    check: async () => {
      if (broken) throw new Error('the disk has come off', { cause: new Error('EIO') })
    },
  })
  const health = { ...none, storagedriver: { enabled: true, interval: 10, threshold: 2 } }
  const registry = await startRegistry(t, { health, wrapDriver, log })
  await untilApi(registry, 503)
  t.match(await ready(registry), { code: 503, checks: { storagedriver_filesystem: 'the disk has come off: EIO' } })
  broken = false
  await untilApi(registry, 200)
  t.match(
    lines.filter(line => line.message.startsWith('health')),
    [
      {
        level: 'error',
        fields: { check: 'storagedriver_filesystem', reason: 'the disk has come off: EIO' },
        message: 'health check fails',
      },
      { level: 'info', fields: { check: 'storagedriver_filesystem' }, message: 'health check passes again' },
    ],
  )
  t.equal(lines.filter(line => line.message.startsWith('health')).length, 2)
})

t.test('a threshold of none is one', async t => {
  const file = fileURLToPath(import.meta.url)
  const registry = await startRegistry(t, { health: { ...none, file: [{ file, interval: 20, threshold: 0 }] } })
  await untilApi(registry, 503)
})

t.test('a store that hangs is asked once, and counts as failed after a while', async t => {
  let asked = 0
  const hanging = Promise.withResolvers<void>()
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    check: () => {
      asked++
      return hanging.promise
    },
  })
  const health = { ...none, storagedriver: { enabled: true, interval: 10, threshold: 1 } }
  const registry = await startRegistry(t, { health, wrapDriver })
  await until(async () => (await status(`${registry.url}/v2/`)) === 503, 8_000)
  t.match(registry.services.health.checks[0]?.failure(), /no answer within 5 s/)
  t.equal(asked, 1)
  hanging.resolve()
  await untilApi(registry, 200)
})

t.test('many who ask at once whether it is ready have the store looked at once', async t => {
  let looks = 0
  const wrapDriver = (driver: StorageDriver): StorageDriver => ({
    ...driver,
    check: () => {
      looks++
      return driver.check()
    },
  })
  const { services } = await startRegistry(t, { wrapDriver })
  const before = looks
  const reports = await Promise.all(Array.from({ length: 50 }, () => services.health.check()))
  t.ok(reports.every(report => report.ready))
  t.equal(looks - before, 1)
})

t.test('an HTTP check sends a HEAD with its headers, and wants the status', async t => {
  const requests: { method: string | undefined; authorization: string | undefined; tags: string | undefined }[] = []
  let code = 204
  const other = createServer(({ method, headers }, response) => {
    requests.push({ method, authorization: headers.authorization, tags: headers['x-tag']?.toString() })
    response.writeHead(code).end()
  })
  const uri = await urlOf(t, other)
  const http = { uri, headers: { 'X-Tag': ['a', 'b'] }, statuscode: 204, timeout: 2_000, interval: 20, threshold: 1 }
  const withUser = uri.replace('//', '//me:s%40cret@')
  const registry = await startRegistry(t, { health: { ...none, http: [http, { ...http, uri: withUser }] } })
  await until(async () => requests.length >= 4)
  t.ok(requests.every(({ method, tags }) => method === 'HEAD' && tags === 'a, b'))
  t.ok(requests.some(({ authorization }) => authorization === `Basic ${btoa('me:s@cret')}`))
  t.equal((await ready(registry)).code, 200)

  code = 200
  await untilApi(registry, 503)
  await until(async () => Object.values((await ready(registry)).checks).filter(check => check !== 'ok').length === 2)
  const report = await ready(registry)
  t.match(report.checks, {
    [uri]: 'answered with 200 instead of 204',
    [`${uri} (2)`]: 'answered with 200 instead of 204',
  })
  t.notMatch(JSON.stringify(report), /cret/)
  code = 204
  await untilApi(registry, 200)
})

t.test('an HTTP check follows a redirect, and fails when nobody answers', async t => {
  let arrived = 0
  const other = createServer((request, response) => {
    if (request.url === '/old') response.writeHead(302, { location: '/new' }).end()
    else response.writeHead(200).end(() => arrived++)
  })
  const uri = `${await urlOf(t, other)}old`
  const http = { uri, headers: {}, statuscode: 200, timeout: 1_000, interval: 20, threshold: 1 }
  const registry = await startRegistry(t, { health: { ...none, http: [http] } })
  await until(() => arrived >= 3)
  t.equal((await ready(registry)).code, 200)
  other.closeAllConnections()
  other.close()
  await untilApi(registry, 503)
  t.match((await ready(registry)).checks[uri], /ECONNREFUSED|ECONNRESET|socket|closed/)
})

t.test('an HTTP check that is not answered fails in its time, and does not keep the process', async t => {
  const other = createServer(() => {})
  const uri = await urlOf(t, other)
  const http = { uri, headers: {}, statuscode: 200, timeout: 100, interval: 20, threshold: 2 }
  const registry = await startRegistry(t, { health: { ...none, http: [http] } })
  await untilApi(registry, 503)
  t.match((await ready(registry)).checks[uri], /timeout/)
})

t.test('a TCP check wants a connection', async t => {
  const other = createTcpServer(socket => socket.destroy())
  const port = await portOf(t, other)
  const tcp = (host: string) => ({ addr: { host, port }, timeout: 500, interval: 20, threshold: 1 })
  const registry = await startRegistry(t, { health: { ...none, tcp: [tcp('127.0.0.1')] } })
  t.equal((await ready(registry)).checks[`127.0.0.1:${port}`], 'ok')
  other.close()
  await untilApi(registry, 503)
  t.match((await ready(registry)).checks[`127.0.0.1:${port}`], /ECONNREFUSED/)

  const unnamed = await startRegistry(t, {
    health: { ...none, tcp: [{ addr: { port }, timeout: 500, interval: 20, threshold: 1 }] },
  })
  await untilApi(unnamed, 503)
  t.match((await ready(unnamed)).checks[`localhost:${port}`], /ECONNREFUSED/)
})

t.test('a TCP check that gets nowhere fails in its time', async t => {
  const port = await deafPort(t)
  const tcp = [{ addr: { host: '127.0.0.1', port }, timeout: 50, interval: 20, threshold: 1 }]
  const registry = await startRegistry(t, { health: { ...none, tcp } })
  await untilApi(registry, 503)
  t.match((await ready(registry)).checks[`127.0.0.1:${port}`], /timeout/)
})

t.test('a process on its way out is not ready, and alive', async t => {
  const registry = await startRegistry(t)
  registry.services.health.beginShutdown()
  t.match(await ready(registry), { code: 503, checks: { process: 'shutting down' } })
  t.equal(await status(`${registry.url}/livez`), 200)
  t.equal(await status(`${registry.url}/v2/`), 200)
})

/** A port on which connections are neither taken nor refused: its process is stopped, and its queue is full. */
async function deafPort(t: Test): Promise<number> {
  const program = `const server = require('node:net').createServer()
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = await once(child.stdout, 'data')
  const port = Number(String(line))
  child.kill('SIGSTOP')
  const queue = Array.from({ length: 4 }, () => connect({ host: '127.0.0.1', port }).on('error', () => {}))
  t.teardown(() => queue.forEach(socket => socket.destroy()))
  await until(() => queue.some(socket => !socket.connecting))
  return port
}

async function urlOf(t: Test, server: Server): Promise<string> {
  return `http://127.0.0.1:${await portOf(t, server)}/`
}

async function portOf(t: Test, server: Server | TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function logInto(lines: { level: string; fields: unknown; message: string }[]) {
  const at = (level: string) => (fields: unknown, message?: string) => {
    lines.push({ level, fields, message: message ?? '' })
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
