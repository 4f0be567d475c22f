import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ask } from './http.ts'
import { start, type StartedProcess, untilReady } from './process.ts'
import { projectFolder } from './programs.ts'

export interface ServeOptions {
  /** The data folder; made when it is not there. */
  data: string
  /** The address to listen on; 127.0.0.1 when left out. */
  address?: string
  /** The port to listen on; a free one when left out. */
  port?: number
  /** Files in PEM; with them Berth speaks https only. */
  tls?: { certificate: string; key: string; ca: string }
  /** Added to the environment; undefined takes a variable out of it. */
  env?: Record<string, string | undefined>
  /** A configuration file; an empty configuration when left out. */
  config?: string | undefined
}

export interface Serving extends StartedProcess {
  readonly url: string
  /** `address:port`, as image names spell it. */
  readonly host: string
  readonly port: number
}

/**
 * Starts Berth from this checkout as a user would, and returns when it answers. Everything it needs comes by the
 * environment and the command line, nothing by import.
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  await mkdir(options.data, { recursive: true })
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort(options.address))
    try {
      return await serveOn(port, options)
    } catch (error) {
      // Between asking for a free port and listening on it, another process may have taken it.
      if (options.port !== undefined || tries === 5 || !String(error).includes('EADDRINUSE')) throw error
    }
  }
}

async function serveOn(
  port: number,
  { data, address = '127.0.0.1', tls, env, config }: ServeOptions,
): Promise<Serving> {
  const host = `${address}:${port}`
  const url = `${tls === undefined ? 'http' : 'https'}://${host}`
  const secured =
    tls === undefined ? {} : { REGISTRY_HTTP_TLS_CERTIFICATE: tls.certificate, REGISTRY_HTTP_TLS_KEY: tls.key }
  const started = await start(
    process.execPath,
    [join(projectFolder, 'server/main.ts'), 'serve', config ?? emptyConfig],
    {
      cwd: projectFolder,
      env: { ...withoutSettings(), BERTH_DATA: data, REGISTRY_HTTP_ADDR: host, ...secured, ...env },
    },
  )
  try {
    await untilReady(async () => [200, 401].includes((await ask(`${url}/v2/`, tls)).status), {
      process: started,
      what: 'Berth',
    })
  } catch (error) {
    await started.stop(2)
    throw error
  }
  return { ...started, url, host, port }
}

const emptyConfig = join(projectFolder, 'conformance/empty.yml')

/** Takes every setting of Berth out of the environment: what somebody set for another Berth is not for this one. */
function withoutSettings(): Record<string, undefined> {
  const settings = Object.keys(process.env).filter(name => /^(REGISTRY|BERTH)_|^DB_URI$/.test(name))
  return Object.fromEntries(settings.map(name => [name, undefined]))
}

/** A port that nobody listens on at the moment. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, address, () => {
      const found = server.address()
      server.close(() => {
        if (found !== null && typeof found === 'object') resolve(found.port)
        else reject(new Error('the listening socket has no port'))
      })
    })
  })
}
