import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launch, untilAnswers } from './process.ts'
import { entryName, type RunningServer, type Server } from './server.ts'

/** zot with its own defaults but quiet: no authentication, no access log, deduplication and collection as they come. */
export function zot(command: readonly [string, ...string[]]): Server {
  return {
    name: 'zot',
    title: 'zot',
    async start({ folder, port, tls }, target) {
      const root = join(folder, 'registry')
      await mkdir(root)
      const file = join(folder, 'config.json')
      const configuration = {
        distSpecVersion: '1.1.1',
        storage: { rootDirectory: root },
        http: {
          address: '127.0.0.1',
          port: String(port),
          ...(tls === undefined ? {} : { tls: { cert: tls.certificate, key: tls.key } }),
        },
        log: { level: 'error' },
      }
      await writeFile(file, JSON.stringify(configuration))
      const server = await launch([...command, 'serve', file], { cwd: folder })
      try {
        await untilAnswers(target, server)
        const { pid, stop, lastWords } = server
        return { pid, stop: () => stop(), lastWords, fill: (kind, count) => fill(root, kind, count) }
      } catch (error) {
        await server.stop()
        throw error
      }
    },
  }
}

/** In zot's layout every repository is an OCI image layout, and a tag an entry of its `index.json`. */
async function fill(root: string, ...[kind, count]: Parameters<RunningServer['fill']>): Promise<void> {
  const source = join(root, 'bench/list')
  if (kind === 'tags') {
    const file = join(source, 'index.json')
    const index: { manifests: { annotations?: Record<string, string> }[] } = JSON.parse(await readFile(file, 'utf8'))
    const [first] = index.manifests
    if (first === undefined) throw new Error('there is no manifest to tag')
    for (let at = 0; at < count; at++) {
      const annotations = { ...first.annotations, 'org.opencontainers.image.ref.name': entryName(at) }
      index.manifests.push({ ...first, annotations })
    }
    await writeFile(file, JSON.stringify(index))
    return
  }
  for (let at = 0; at < count; at++) await cp(source, join(root, `bench/list-${entryName(at)}`), { recursive: true })
}
