import t from 'tap'
import { contentOf } from '../helpers/images.ts'
import { blobFaults, manifestFaults } from './durable.ts'
import { parseTrace } from './trace.ts'

/** The judge of `acknowledgements.test.ts` before made-up traces: it has to find what is wrong with each. */

const blob = contentOf('seven b', 'text/plain')
const hex = blob.digest.slice('sha256:'.length)

const steps = {
  writeFirst: `10  pwrite64(20</d/uploads/u>, "seve", 4, 0) = 4`,
  writeLast: `10  pwritev(20</d/uploads/u>, [{iov_base="n b", iov_len=3}], 1, 4) = 3`,
  sync: `11  fdatasync(20</d/uploads/u>)           = 0 (DELAYED)`,
  make: `11  mkdir("/d/blobs/sha256/ab", 0777)      = 0`,
  syncParent: `11  fsync(21</d/blobs/sha256>)           = 0 (DELAYED)`,
  rename: `11  rename("/d/uploads/u", "/d/blobs/sha256/ab/${hex}") = 0`,
  syncFolder: `12  fsync(22</d/blobs/sha256/ab>)        = 0 (DELAYED)`,
  tell: `30  recvfrom(9<socket:[7]>, "B\\0\\0\\1sha256:${hex}", 8192, 0, NULL, NULL) = 200`,
  log: `30  pwrite64(5</d/postgres/cluster/pg_wal/000000010000000000000001>, "\\3Gsha256:${hex}", 8192, 0) = 8192`,
  syncLog: `30  fdatasync(5</d/postgres/cluster/pg_wal/000000010000000000000001>) = 0 (DELAYED)`,
  done: String.raw`30  sendto(9<socket:[7]>, "C\0\0\0\17INSERT 0 1\0Z\0\0\0\5I", 22, 0, NULL, 0) = 22`,
  answer: `10  write(25<socket:[8]>, "HTTP/1.1 201 Created\\r\\nLocation: /v2/a/blobs/sha256:${hex}\\r\\n\\r\\n", 90) = 90`,
}
type Step = keyof typeof steps
const inOrder = Object.keys(steps).filter((name): name is Step => name in steps)
const fileSteps: readonly Step[] = ['writeFirst', 'writeLast', 'sync', 'make', 'syncParent', 'rename', 'syncFolder']

function faultsOf(lines: readonly string[]): string[] {
  return blobFaults(parseTrace(lines.join('\n')), { digest: blob.digest, size: blob.bytes.length })
}

const linesOf = (names: readonly Step[]) => names.map(name => steps[name])
const without = (step: Step) => inOrder.filter(name => name !== step)
const later = (step: Step, than: Step) => without(step).flatMap(name => (name === than ? [name, step] : [name]))

t.test('a trace in order has no fault', async t => {
  t.same(faultsOf(linesOf(inOrder)), [])
  const database = inOrder.filter(name => !fileSteps.includes(name))
  t.same(manifestFaults(parseTrace(linesOf(database).join('\n')), blob), [])
})

t.test('a step that is missing, or comes after the answer, is found', async t => {
  for (const step of without('make')) {
    t.not(faultsOf(linesOf(without(step))).length, 0, `without ${step}`)
    if (step !== 'answer') t.not(faultsOf(linesOf(later(step, 'answer'))).length, 0, `${step} after the answer`)
  }
})

t.test('steps in the wrong order are found', async t => {
  const wrong: [Step, Step, RegExp][] = [
    ['writeLast', 'sync', /not synced between its last byte and its name/],
    ['sync', 'rename', /not synced between its last byte and its name/],
    ['rename', 'syncFolder', /the folder was not synced after the name/],
    ['make', 'syncParent', /made and its parent not synced/],
    ['log', 'syncLog', /the log of the database was not written and synced/],
    ['syncLog', 'done', /the log of the database was not written and synced/],
  ]
  for (const [step, than, words] of wrong)
    t.match(faultsOf(linesOf(later(step, than))).join(), words, `${step} after ${than}`)
  const early = without('tell').flatMap((name): Step[] => (name === 'syncLog' ? [name, 'tell'] : [name]))
  t.match(faultsOf(linesOf(early)).join(), /not written and synced for its statement/, 'what was synced was another')
})

t.test('a sync that has not ended when the answer begins is found', async t => {
  for (const step of ['sync', 'syncFolder', 'syncLog'] as const) {
    const [pid = '', , name = ''] = steps[step].split(/( +|\()/)
    const begun = `${steps[step].slice(0, steps[step].indexOf(')'))} <unfinished ...>`
    const ended = `${pid}  <... ${name} resumed>)    = 0 (DELAYED)`
    const lines = (endsAfter: Step) =>
      inOrder.flatMap(other => [other === step ? begun : steps[other], ...(other === endsAfter ? [ended] : [])])
    t.same(faultsOf(lines(step)), [], `${step} in two lines`)
    t.not(faultsOf(lines('answer')).length, 0, `${step} that goes on`)
  }
})

t.test('a sync that failed, or that was of another file, does not count', async t => {
  const failed = inOrder.map(name =>
    name === 'sync' ? steps.sync.replace('= 0 (DELAYED)', '= -1 EIO (Input/output error)') : steps[name],
  )
  t.match(faultsOf(failed).join(), /the file was not synced/)
  const other = inOrder.map(name => (name === 'sync' ? steps.sync.replace('/u>', '/v>') : steps[name]))
  t.match(faultsOf(other).join(), /the file was not synced/)
})

t.test('bytes that were not written are missed', async t => {
  t.match(faultsOf(linesOf(without('writeFirst'))).join(), /only 3 bytes of 7/)
})
