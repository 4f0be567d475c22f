import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startProgram } from '../helpers/processes.ts'
import { endPostgres, makeDataFolder } from './folders.ts'
import { makeLargeBlobs, memoryDuring } from './large.ts'
import { mebibytes } from './tree.ts'

/** Large uploads at once, and then large pulls, in the memory of a small machine. */

const long = process.env['BERTH_TEST_LONG'] !== undefined || process.env['CI'] === 'true'
const mebibyte = 2 ** 20
const uploads = 8
const size = (long ? 1024 : 128) * mebibyte
const limit = 300 * mebibyte

t.setTimeout(long ? 600_000 : 120_000)

t.test(`${uploads} uploads of ${mebibytes(size)} at once, and as many pulls, stay small`, async t => {
  const data = long ? await mkdtemp(join(tmpdir(), 'berth-memory-')) : await makeDataFolder(t)
  t.teardown(async () => {
    await endPostgres(data)
    await rm(data, { recursive: true, force: true })
  })
  const large = makeLargeBlobs({ count: uploads, size })
  const program = await startProgram(t, { data })
  const began = performance.now()
  const up = await memoryDuring(program.pid, large.push(program.url))
  const seconds = (performance.now() - began) / 1000
  t.comment(
    `uploads: PSS ${mebibytes(up.pss)}, RSS ${mebibytes(up.rss)} at most; ${seconds.toFixed(1)} s, ${((uploads * size) / mebibyte / seconds).toFixed(0)} MiB/s`,
  )
  t.ok(up.pss < limit, `all processes together took less than ${mebibytes(limit)}`)

  const lengths = large.pull(program.url)
  const down = await memoryDuring(program.pid, lengths)
  t.strictSame(await lengths, large.sizes)
  t.comment(`pulls: PSS ${mebibytes(down.pss)}, RSS ${mebibytes(down.rss)} at most`)
  t.ok(down.pss < limit, 'for pulls too')
})
