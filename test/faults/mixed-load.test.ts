import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startProgram } from '../helpers/processes.ts'
import { createClient } from './client.ts'
import { makeDataFolder } from './folders.ts'
import { createMixed } from './mixed-worker.ts'
import { createRandom, seedOf } from './random.ts'
import { descriptorsOf, mebibytes, memoryOf } from './tree.ts'

const writers = 16
const readers = 4
const durationMs = 60_000
/** By then the program has about the size that it has under such a load. */
const settledMs = 30_000

t.setTimeout(180_000)

t.test('a minute of pushes, moves and deletes on a few names breaks nothing', async t => {
  const random = createRandom(seedOf(t))
  const program = await startProgram(t, { data: await makeDataFolder(t) })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  const mixed = createMixed(client)
  const idle = descriptorsOf(program.pid)
  await mixed.prepare(random)

  const began = performance.now()
  const over = () => performance.now() - began > durationMs || mixed.faults.length > 20
  const work = async (deed: (own: typeof random) => Promise<void>) => {
    const own = createRandom(random.whole(0, 2 ** 31))
    while (!over()) await deed(own)
  }
  const all = Promise.all([
    ...Array.from({ length: writers }, () => work(own => mixed.change(own))),
    ...Array.from({ length: readers }, () => work(own => mixed.read(own))),
  ])
  await Promise.race([sleep(settledMs), all])
  const settled = memoryOf(program.pid)
  await all
  const after = memoryOf(program.pid)

  t.strictSame(mixed.faults, [])
  t.comment(`requests: ${JSON.stringify(mixed.counts)}`)
  t.comment(
    `memory after ${settledMs / 1000} s: PSS ${mebibytes(settled.pss)}, RSS ${mebibytes(settled.rss)}; ` +
      `in the end: PSS ${mebibytes(after.pss)}, RSS ${mebibytes(after.rss)}`,
  )
  // Not the RSS: there the pages that all processes of Postgres share count more, the more of them have touched them.
  t.ok(after.pss < Math.max(settled.pss + 48 * 2 ** 20, 300 * 2 ** 20), 'memory is flat, or small anyway')

  for (let turn = 0; turn < 200; turn++) await mixed.read(random)
  t.strictSame(mixed.faults, [], 'nor is anything lost when all is quiet')

  client.close()
  // Files of blobs, and of uploads, stay open for a moment.
  await sleep(3000)
  t.comment(`descriptors: ${idle} before, ${descriptorsOf(program.pid)} after`)
  // Connections to Postgres stay for a while.
  t.ok(descriptorsOf(program.pid) <= idle + 10, 'descriptors are given back')
  t.match(await program.stop(), { code: 0 })
  t.equal(program.stderr(), '')
})
