import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { fillLayout } from './distribution-layout.ts'
import { launch, untilAnswers } from './process.ts'
import type { Server, ServerName } from './server.ts'

/**
 * CNCF distribution, the program `registry`, with what its own example has: the filesystem driver and the blob
 * descriptor cache in memory. Debian's docker-registry is an older one of the same.
 */
export function distribution(name: ServerName, title: string, command: readonly [string, ...string[]]): Server {
  return {
    name,
    title,
    async start({ folder, port, tls }, target) {
      const root = join(folder, 'registry')
      await mkdir(root)
      const file = join(folder, 'config.yml')
      const configuration = {
        version: 0.1,
        log: { level: 'error', accesslog: { disabled: true } },
        storage: {
          filesystem: { rootdirectory: root },
          cache: { blobdescriptor: 'inmemory' },
          delete: { enabled: true },
        },
        http: {
          addr: `127.0.0.1:${port}`,
          ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
        },
      }
      await writeFile(file, stringify(configuration))
      const settings = Object.keys(process.env).filter(name => name.startsWith('REGISTRY_'))
      const server = await launch([...command, 'serve', file], {
        cwd: folder,
        env: { ...Object.fromEntries(settings.map(name => [name, undefined])), OTEL_TRACES_EXPORTER: 'none' },
      })
      try {
        await untilAnswers(target, server)
        const { pid, stop, lastWords } = server
        return { pid, stop: () => stop(), lastWords, fill: (kind, count) => fillLayout(root, kind, count) }
      } catch (error) {
        await server.stop()
        throw error
      }
    },
  }
}
