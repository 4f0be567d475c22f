import t from 'tap'
import { type Database, type Queryable, type Statement, statement } from '../../../server/metadata/database.ts'
import { findRepository, repositoryPage } from '../../../server/metadata/repositories.ts'
import { tagPage } from '../../../server/metadata/tags.ts'
import { parseRepositoryName } from '../../../server/oci/repository-name.ts'
import { index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { isRecord, pushManifest } from './requests.ts'

/** What a page costs must not depend on how long the list is, nor on where in it the page is. */
const many = 100_000
const few = 100

const repository = parseRepositoryName('tags-of')
const large = await startRegistry(t)
const small = await startRegistry(t)
await fill(large.url, large.database, many)
await fill(small.url, small.database, few)

function insertTags(columns: string, values: string): string {
  return `insert into tags (repository_id, name, manifest_id${columns})
     select t.repository_id, 't' || lpad(i::text, 7, '0'), t.manifest_id${values}
       from generate_series(1, $1::int) i, tags t where t.name = 'zz'`
}

/** Gives one repository so many tags (and some that ended), and the registry so many repositories. */
async function fill(url: string, database: Database, count: number): Promise<void> {
  await pushManifest(url, repository, 'zz', index([]))
  const run = (text: string, values: unknown[] = []) => database.change(statement(`test.${text}`, text), values)
  await run(insertTags('', ''), [count])
  await run(insertTags(', lifetime_end', ', clock_timestamp()'), [count / 10])
  const repositories = `insert into repositories (namespace_id, name)
     select n.id, 'r' || lpad(i::text, 7, '0') from generate_series(1, $1::int) i, namespaces n where n.name = 'library'`
  await run(repositories, [count])
  // What autovacuum does in its own time.
  for (const table of ['tags', 'repositories']) await run(`vacuum analyze ${table}`)
}

const unexpected = () => Promise.reject(new Error('only lists are explained'))
let probes = 0

/** The kinds of step in the plan of each statement that `read` runs, planned for its values or for any values. */
async function planOf(kind: 'custom' | 'generic', read: (db: Queryable) => Promise<unknown>): Promise<string[]> {
  const steps: string[] = []
  await large.database.transaction(async tx => {
    const run = async (text: string): Promise<unknown> => tx.row({ name: `probe ${++probes}`, text })
    const explain = async ({ text }: Statement, values: readonly unknown[] = []): Promise<[]> => {
      const literals = values.map(value => (typeof value === 'number' ? `${value}` : `'${String(value)}'`))
      await run(`prepare probe as ${text}`)
      const plan = await run(`explain (format json) execute probe(${literals.join(', ')})`)
      await run('deallocate probe')
      steps.push(...stepsOf(isRecord(plan) ? plan['QUERY PLAN'] : undefined))
      return []
    }
    await run(`set local plan_cache_mode = force_${kind}_plan`)
    await read({ rows: explain, row: unexpected, change: unexpected })
  })
  return steps
}

function stepsOf(plan: unknown): string[] {
  if (Array.isArray(plan)) return plan.flatMap(stepsOf)
  if (!isRecord(plan)) return []
  // What an index brings and a filter throws away costs as well.
  const own = typeof plan['Node Type'] === 'string' ? [plan['Node Type'].replace(' Only', '')] : []
  const filter = plan['Filter'] === undefined ? [] : ['Filter']
  return [...own, ...filter, ...stepsOf(plan['Plan']), ...stepsOf(plan['Plans'])]
}

/** How long a page takes, in milliseconds. */
async function time(url: string): Promise<number> {
  const start = performance.now()
  const response = await fetch(url)
  await response.arrayBuffer()
  if (response.status !== 200) throw new Error(`${url}: ${response.status}`)
  return performance.now() - start
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN
}

/** The medians of the times that each of two pages takes, asked for in turns. */
async function medians(one: string, other: string): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < 120; round++) {
    times[0].push(await time(one))
    times[1].push(await time(other))
  }
  // Connections, prepared statements and compiled code come into being in the first rounds.
  return [median(times[0].slice(20)), median(times[1].slice(20))]
}

for (const kind of ['custom', 'generic'] as const) {
  t.test(`[87] a page of tags is read in the order of an index, by a ${kind} plan`, async t => {
    const id = await findRepository(large.database, repository)
    if (id === undefined) throw new Error('no repository')
    for (const after of ['', 't0050000', 't0099990', 'zzz']) {
      const steps = await planOf(kind, db => tagPage(db, id, { after, limit: 101 }))
      t.same(steps, ['Limit', 'Index Scan'], `after "${after}"`)
    }
  })

  t.test(`[93] a page of the catalog is read in the order of an index, by a ${kind} plan`, async t => {
    for (const after of ['', 'r0050000', 'r0099990', 'zzz']) {
      const steps = await planOf(kind, db => repositoryPage(db, { after, limit: 101 }))
      t.same(steps, ['Limit', 'Index Scan'], `after "${after}"`)
    }
  })
}

t.test('[87] a page at the end of 100,000 tags takes about as long as one of 100', async t => {
  const path = `/v2/${repository}/tags/list?n=50`
  const [long, short] = await medians(`${large.url}${path}&last=t0099950`, `${small.url}${path}&last=t0000050`)
  t.ok(long < short * 3, `${long.toFixed(1)} ms against ${short.toFixed(1)} ms`)
})

t.test('[93] a page at the end of 100,000 repositories takes about as long as one of 100', async t => {
  const path = '/v2/_catalog?n=50'
  const [long, short] = await medians(`${large.url}${path}&last=r0099950`, `${small.url}${path}&last=r0000050`)
  t.ok(long < short * 3, `${long.toFixed(1)} ms against ${short.toFixed(1)} ms`)
})
