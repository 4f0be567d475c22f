import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Logger, silentLog } from '../../server/lib/log.ts'
import { parseRepositoryName } from '../../server/oci/repository-name.ts'
import { createWorkers } from '../../server/workers/index.ts'
import { startRegistry, type TestRegistry } from '../helpers/registry.ts'

const repository = parseRepositoryName('a')
const place = { repository, by: { kind: 'everyone' } } as const
const day = 24 * 3_600_000

/** An upload of ten bytes. @returns its id */
async function begin({ url }: TestRegistry): Promise<string> {
  const begun = await fetch(`${url}/v2/a/blobs/uploads/`, { method: 'POST' })
  const location = begun.headers.get('location') ?? ''
  await fetch(location, { method: 'PATCH', body: '0123456789' })
  return begun.headers.get('docker-upload-uuid') ?? ''
}

async function age({ database }: TestRegistry, id: string, days: number): Promise<void> {
  const text = `update uploads set started_at = started_at - make_interval(days => $2) where id = $1`
  await database.change({ name: 'test.age', text }, [id, days])
}

interface Purging {
  enabled?: boolean
  age?: number
  interval?: number
  dryrun?: boolean
}

/** One turn of the workers as a configuration makes them. @returns what they logged */
async function turn(t: Test, { services }: TestRegistry, purging: Purging): Promise<unknown[]> {
  const lines: unknown[] = []
  const note = (fields: unknown, message?: string) => void lines.push({ fields, message })
  const log: Logger = { ...silentLog, info: note, error: note }
  const uploadpurging = { enabled: true, age: 7 * day, interval: day, dryrun: false, ...purging }
  for (const worker of createWorkers({ uploadpurging }, services, log)) {
    t.equal(worker.everyMs, day)
    await worker.run(new AbortController().signal)
  }
  return lines
}

t.test('uploads that are old enough are dropped with their bytes, and a second turn finds nothing', async t => {
  const registry = await startRegistry(t)
  const [old, young] = [await begin(registry), await begin(registry)]
  await age(registry, old, 8)
  t.match(await turn(t, registry, {}), [
    { message: 'abandoned uploads dropped', fields: { uploads: 1, bytes: 10, dryRun: false } },
  ])
  await t.rejects(registry.services.uploads.status(place, old), { code: 'BLOB_UPLOAD_UNKNOWN' })
  t.equal((await registry.services.uploads.status(place, young)).offset, 10)
  t.equal((await readdir(join(registry.root, 'uploads'))).length, 1)
  t.same(await turn(t, registry, {}), [])
})

t.test('two turns at once drop each upload once', async t => {
  const registry = await startRegistry(t)
  for (let count = 0; count < 5; count++) await age(registry, await begin(registry), 8)
  const lines = (await Promise.all([turn(t, registry, {}), turn(t, registry, {})])).flat() as {
    fields: { uploads: number }
  }[]
  t.equal(
    lines.reduce((sum, { fields }) => sum + fields.uploads, 0),
    5,
  )
  t.same(await readdir(join(registry.root, 'uploads')), [])
})

t.test('a dry run tells what would go, and takes nothing', async t => {
  const registry = await startRegistry(t)
  const old = await begin(registry)
  await age(registry, old, 8)
  t.match(await turn(t, registry, { dryrun: true }), [
    { message: 'abandoned uploads found', fields: { uploads: 1, bytes: 10, dryRun: true } },
  ])
  t.equal((await registry.services.uploads.status(place, old)).offset, 10)
})

t.test('switched off there is no worker', async t => {
  const registry = await startRegistry(t)
  await age(registry, await begin(registry), 8)
  t.same(await turn(t, registry, { enabled: false }), [])
  t.equal((await readdir(join(registry.root, 'uploads'))).length, 1)
})

t.test('the checks of health are workers, each with its own pause', async t => {
  const health = {
    storagedriver: { enabled: true, interval: 1_000, threshold: 1 },
    file: [{ file: '/nowhere/down', interval: 2_000, threshold: 1 }],
    http: [],
    tcp: [{ addr: { port: 9 }, timeout: 100, interval: 3_000, threshold: 1 }],
  }
  const { services } = await startRegistry(t, { health })
  const uploadpurging = { enabled: false, age: day, interval: day, dryrun: false }
  const workers = createWorkers({ uploadpurging }, services, silentLog)
  t.same(
    workers.map(({ name, everyMs }) => [name, everyMs]),
    [
      ['storagedriver_filesystem', 1_000],
      ['/nowhere/down', 2_000],
      ['localhost:9', 3_000],
    ],
  )
})
