import t from 'tap'
import { createTally, type FileTally } from './tally.ts'

/** What the tally makes of the TAP of a whole run. */
async function tallyOf(tap: string): Promise<FileTally[]> {
  const files: FileTally[] = []
  const tally = createTally(
    file => files.push(file),
    () => {},
  )
  await new Promise(resolve => tally.once('complete', resolve).end(tap))
  return files
}

/** A file in TAP: its lines, and how it ended. */
function file(name: string, lines: string, { ok = true, details = '' } = {}): string {
  const inner = lines.trim().replaceAll(/^/gm, '    ')
  const yaml = details === '' ? '' : `  ---\n  ${details}\n  ...\n`
  return `# Subtest: ${name}\n${inner}\n${ok ? 'ok' : 'not ok'} 1 - ${name} # time=5ms\n${yaml}`
}

const twoTests = `
# Subtest: one
    ok 1 - a
    ok 2 - b
    1..2
ok 1 - one
# Subtest: two
    ok 1 - c
    1..1
ok 2 - two
1..2`

t.test('a test counts once, however much it asserts', async t => {
  const [tally] = await tallyOf(file('a.test.ts', twoTests))
  t.match(tally, { file: 'a.test.ts', passed: 2, failed: 0, failures: [], skips: [], milliseconds: 5 })
})

t.test('a test that fails twice has failed once, and tells both', async t => {
  const lines = `
# Subtest: one
    not ok 1 - a
    not ok 2 - b
    1..2
not ok 1 - one
1..1`
  const [tally] = await tallyOf(file('a.test.ts', lines, { ok: false }))
  t.match(tally, { passed: 0, failed: 1 })
  t.same(
    tally?.failures.map(failure => failure.title),
    ['a.test.ts > one > a', 'a.test.ts > one > b'],
  )
})

t.test('of tests within tests the innermost count, and what fails beside them', async t => {
  const lines = `
# Subtest: outer
    # Subtest: good
        ok 1 - a
        1..1
    ok 1 - good
    # Subtest: bad
        not ok 1 - b
        1..1
    not ok 2 - bad
    not ok 3 - own
    1..3
not ok 1 - outer
1..1`
  t.match(await tallyOf(file('a.test.ts', lines, { ok: false })), [{ passed: 1, failed: 2, failures: { length: 2 } }])
})

t.test('a file that a signal ended has failed, beside what had failed in it', async t => {
  const killed = { ok: false, details: 'signal: SIGKILL' }
  t.match(await tallyOf(file('a.test.ts', '# Subtest: one\n    ok 1 - a\n    1..1\nok 1 - one', killed)), [
    { passed: 1, failed: 1, failures: [{ title: 'a.test.ts', details: { signal: 'SIGKILL' } }] },
  ])
  const failing = '# Subtest: one\n    not ok 1 - a\n    1..1\nnot ok 1 - one'
  t.match(await tallyOf(file('a.test.ts', failing, killed)), [{ passed: 0, failed: 2 }])
})

t.test('a file that ends badly after good tests has failed', async t => {
  const tally = await tallyOf(file('a.test.ts', twoTests, { ok: false, details: 'exitCode: 3' }))
  t.match(tally, [{ passed: 2, failed: 1, failures: [{ details: { exitCode: 3 } }] }])
})

t.test('a file that hung has failed once, though tap says so twice', async t => {
  const hung = '# Subtest: one\n    not ok 1 - timeout!\n    1..1\nnot ok 1 - one\n1..1'
  const tap = file('a.test.ts', hung, { ok: false, details: 'signal: SIGALRM' })
  t.match(await tallyOf(`${tap}not ok 2 - timeout!\n  ---\n  expired: a.test.ts\n  ...\n1..2\n`), [
    { passed: 0, failed: 1 },
  ])
})

t.test('a file without any test has failed', async t => {
  const tally = await tallyOf(
    '# Subtest: a.test.ts\n    1..0 # no tests found\nok 1 - a.test.ts # SKIP no tests found\n',
  )
  t.match(tally, [{ passed: 0, failed: 1, failures: [{ title: 'a.test.ts: no tests found' }], skips: [] }])
})

t.test('what is skipped is told with its reason, and is neither passed nor failed', async t => {
  const lines = `
# Subtest: by an assertion
    ok 1 - needs skopeo # SKIP
    1..1
ok 1 - by an assertion
ok 2 - as a whole # SKIP needs root
ok 3 - later # TODO
1..3`
  const [tally] = await tallyOf(file('a.test.ts', lines))
  t.match(tally, { passed: 0, failed: 0 })
  t.same(tally?.skips, [
    'a.test.ts > by an assertion > needs skopeo',
    'a.test.ts > as a whole: needs root',
    'a.test.ts > later',
  ])
})

t.test('tap giving up is a failure', async t => {
  t.match(await tallyOf('Bail out! no more\n'), [{ failed: 1, failures: [{ title: 'tap gave up: no more' }] }])
})
