import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import type { StorageDriver } from '../../storage-drivers/driver.ts'
import type { Logger } from '../lib/log.ts'
import { reasonOf } from '../lib/reason.ts'
import { bounded } from './probe.ts'

/**
 * The checks that an operator configures (`health` of the configuration, as in registry:2): each is run again and
 * again beside the requests, and counts as failed once it has failed so many times in a row.
 */
export interface HealthCheck {
  /** The driver's name behind `storagedriver_`, or the file, the URL or the address that is looked at. */
  readonly name: string
  readonly everyMs: number
  /** Looks once, and takes down what came out. Never throws. */
  run(signal: AbortSignal): Promise<void>
  /** What is wrong; undefined while all is well, or has not gone wrong often enough. */
  failure(): string | undefined
}

/** How often to look, and how many failures in a row count (none is taken for one). Spans of time in milliseconds. */
interface Rhythm {
  readonly interval: number
  readonly threshold: number
}

export interface HealthCheckSettings {
  /** Fails while the blob driver does not take and give bytes. */
  readonly storagedriver: Rhythm & { readonly enabled: boolean }
  /** Fails while there is such a file. */
  readonly file: readonly (Rhythm & { readonly file: string })[]
  /** Fails unless a HEAD is answered with the status. */
  readonly http: readonly (Rhythm & {
    readonly uri: string
    readonly headers: Readonly<Record<string, readonly string[]>>
    readonly statuscode: number
    readonly timeout: number
  })[]
  /** Fails unless a connection can be made. */
  readonly tcp: readonly (Rhythm & {
    readonly addr: { readonly host?: string; readonly port: number }
    readonly timeout: number
  })[]
}

/** For a timeout of zero, and for stores, which may hang as a network's file system does. */
const defaultTimeoutMs = 5_000

export interface HealthCheckOptions {
  driver: StorageDriver
  log: Logger
}

export function createHealthChecks(settings: HealthCheckSettings, { driver, log }: HealthCheckOptions): HealthCheck[] {
  const { storagedriver, file, http, tcp } = settings
  const names = new Map<string, number>()

  function check(name: string, rhythm: Rhythm, probe: (signal: AbortSignal) => Promise<void>): HealthCheck {
    const before = names.get(name) ?? 0
    names.set(name, before + 1)
    return createCheck({ name: before === 0 ? name : `${name} (${before + 1})`, rhythm, probe, log })
  }

  return [
    ...(storagedriver.enabled
      ? [
          check(
            `storagedriver_${driver.name}`,
            storagedriver,
            bounded(() => driver.check(), defaultTimeoutMs),
          ),
        ]
      : []),
    ...file.map(one => check(one.file, one, () => probeFile(one.file))),
    ...http.map(one => check(withoutUser(one.uri), one, signal => probeHttp(one, signal))),
    ...tcp.map(one => check(addressOf(one.addr), one, signal => probeTcp(one, signal))),
  ]
}

interface CheckParts {
  name: string
  rhythm: Rhythm
  probe: (signal: AbortSignal) => Promise<void>
  log: Logger
}

function createCheck({ name, rhythm, probe, log }: CheckParts): HealthCheck {
  const threshold = Math.max(1, rhythm.threshold)
  let failures = 0
  let reason = ''
  return {
    name,
    everyMs: rhythm.interval,
    async run(signal) {
      try {
        await probe(signal)
        if (failures >= threshold) log.info({ check: name, failures }, 'health check passes again')
        failures = 0
      } catch (error) {
        // The process stops: this says nothing of what was looked at.
        if (signal.aborted) return
        failures++
        reason = reasonOf(error)
        if (failures === threshold) log.error({ check: name, failures, reason }, 'health check fails')
      }
    },
    failure: () => (failures >= threshold ? reason : undefined),
  }
}

/** @throws Error when the file is there, or it can't be told */
async function probeFile(file: string): Promise<void> {
  try {
    await stat(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return
    throw error
  }
  throw new Error('the file exists')
}

type HttpCheck = HealthCheckSettings['http'][number]

async function probeHttp({ uri, headers, statuscode, timeout }: HttpCheck, signal: AbortSignal): Promise<void> {
  const url = new URL(uri)
  const sent = new Headers(Object.entries(headers).flatMap(([name, values]) => values.map(value => [name, value])))
  if (url.username !== '' && !sent.has('authorization')) {
    const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    sent.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
  }
  // A connection that is kept may be closed by the server just when the next look begins.
  sent.set('connection', 'close')
  const { status } = await fetch(withoutUser(uri), { method: 'HEAD', headers: sent, signal: limit(signal, timeout) })
  if (status !== statuscode) throw new Error(`answered with ${status} instead of ${statuscode}`)
}

type TcpCheck = HealthCheckSettings['tcp'][number]

async function probeTcp({ addr: { host = 'localhost', port }, timeout }: TcpCheck, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host, port })
  const limited = limit(signal, timeout)
  const give = () => reject(limited.reason)
  limited.addEventListener('abort', give)
  socket.once('connect', resolve)
  socket.once('error', reject)
  try {
    await promise
  } finally {
    limited.removeEventListener('abort', give)
    socket.destroy()
  }
}

function limit(signal: AbortSignal, timeoutMs: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs || defaultTimeoutMs)])
}

/** A URL without the user and the password that may stand in it: for logs, and for `fetch`, which refuses them. */
function withoutUser(uri: string): string {
  const url = new URL(uri)
  url.username = ''
  url.password = ''
  return url.href
}

function addressOf({ host = 'localhost', port }: TcpCheck['addr']): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
