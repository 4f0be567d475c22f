import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import pg from 'pg'
import { projectFolder } from '../../conformance/programs.ts'
import { treeOf } from '../../test/faults/tree.ts'
import { launch, untilAnswers } from './process.ts'
import type { RunningServer, Server } from './server.ts'

/** Berth from this checkout, started by `npm start` with its built-in settings. */
export const berth: Server = {
  name: 'berth',
  title: 'Berth',

  async start({ folder, port, tls, env }, target) {
    const settings = Object.keys(process.env).filter(name => /^(REGISTRY|BERTH)_|^DB_URI$/.test(name))
    const npm = await launch(['npm', 'start', '--silent'], {
      cwd: projectFolder,
      env: {
        ...Object.fromEntries(settings.map(name => [name, undefined])),
        BERTH_DATA: folder,
        REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
        ...(tls === undefined
          ? {}
          : { REGISTRY_HTTP_TLS_CERTIFICATE: tls.certificate, REGISTRY_HTTP_TLS_KEY: tls.key }),
        ...env,
      },
    })
    try {
      await untilAnswers(target, npm)
      // npm and its shell only wait; what is measured is Berth, with its Postgres.
      const pid = treeOf(npm.pid).find(isBerth)
      if (pid === undefined) throw new Error('no process of Berth is below npm start')
      return {
        pid,
        stop: () => npm.stop(pid),
        lastWords: npm.lastWords,
        fill: (kind, count) => fill(folder, kind, count),
      }
    } catch (error) {
      await npm.stop()
      throw error
    }
  },
}

function isBerth(pid: number): boolean {
  const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  return basename(program) === 'node' && args.includes('server/main.ts')
}

/** By SQL into the Postgres that Berth brings along, while it runs: the rows that pushes would have made. */
async function fill(folder: string, ...[kind, count]: Parameters<RunningServer['fill']>): Promise<void> {
  const client = new pg.Client({
    host: join(folder, 'postgres/run'),
    user: 'berth',
    database: 'berth',
    password: (await readFile(join(folder, 'postgres/password'), 'utf8')).trim(),
  })
  await client.connect()
  try {
    await client.query(kind === 'tags' ? tagRows : repositoryRows, [count])
    await client.query('analyze')
  } finally {
    await client.end()
  }
}

// Both stand on what was pushed before: the repository `bench/list` with its tag `first`.
const tagRows = `
  insert into tags (repository_id, name, manifest_id)
  select t.repository_id, 'e' || lpad(n::text, 6, '0'), t.manifest_id
    from tags t join repositories r on r.id = t.repository_id, generate_series(0, $1::int - 1) as n
   where r.name = 'bench/list' and t.name = 'first' and t.lifetime_end is null`
const repositoryRows = `
  with made as (
    insert into repositories (namespace_id, name)
    select r.namespace_id, 'bench/list-e' || lpad(n::text, 6, '0')
      from repositories r, generate_series(0, $1::int - 1) as n where r.name = 'bench/list'
    returning id
  ), copied as (
    insert into manifests (repository_id, digest, media_type, content_size, payload)
    select made.id, m.digest, m.media_type, m.content_size, m.payload
      from made, manifests m join repositories r on r.id = m.repository_id where r.name = 'bench/list'
    returning id, repository_id
  )
  insert into tags (repository_id, name, manifest_id) select repository_id, 'first', id from copied`
