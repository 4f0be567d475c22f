import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { type StartedProcess, start, untilReady } from '../../conformance/process.ts'

/** Azurite, Microsoft's own stand-in for Azure Blob Storage: one process, whose data lies below one folder. */
export interface Azurite extends AsyncDisposable {
  readonly accountName: string
  readonly accountKey: string
  /** The URL of the account. */
  readonly serviceUrl: string
  /** Ends it as an operator does; what it has stays in its folder. */
  stop(): Promise<void>
  /** Starts it again on the same port; resolves when it answers. */
  restart(): Promise<void>
}

export interface AzuriteOptions {
  /** Paths of PEM files: it speaks https then, and takes tokens of identities, of which it checks all but the signature. */
  tls?: { certificate: string; key: string }
}

const accountName = 'registry'
const program = fileURLToPath(import.meta.resolve('azurite/dist/src/blob/main.js'))

/** @param folder an empty one */
async function startAzurite(folder: string, { tls }: AzuriteOptions = {}): Promise<Azurite> {
  const port = await freePort()
  const accountKey = randomBytes(64).toString('base64')
  const serviceUrl = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/${accountName}`
  const data = join(folder, 'data')
  await mkdir(data, { recursive: true })
  const secured = tls === undefined ? [] : ['--cert', tls.certificate, '--key', tls.key, '--oauth', 'basic']

  async function launch(): Promise<StartedProcess> {
    const place = ['--blobHost', '127.0.0.1', '--blobPort', String(port), '--location', data]
    const quiet = ['--silent', '--disableTelemetry']
    const started = await start(process.execPath, [program, ...place, ...quiet, ...secured], {
      cwd: folder,
      env: { AZURITE_ACCOUNTS: `${accountName}:${accountKey}` },
    })
    try {
      await untilReady(async () => started.stdout().includes('successfully listen'), {
        process: started,
        what: 'Azurite',
      })
    } catch (error) {
      await started.stop(1)
      throw error
    }
    return started
  }

  let running: StartedProcess | undefined = await launch()
  async function stop(): Promise<void> {
    // It does not answer what comes while it ends, nor end before that is answered.
    await running?.stop(3)
    running = undefined
  }
  return {
    accountName,
    accountKey,
    serviceUrl,
    stop,
    async restart() {
      await stop()
      running = await launch()
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** One for a whole test. */
export async function startAzuriteFor(t: Test, options: AzuriteOptions = {}): Promise<Azurite> {
  const folder = await mkdtemp(join(tmpdir(), 'azurite-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const azurite = await startAzurite(folder, options)
  t.teardown(() => azurite[Symbol.asyncDispose]())
  return azurite
}
