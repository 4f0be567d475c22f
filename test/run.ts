/**
 * `npm test`: everything that says whether Berth works, from nothing but a checkout.
 *
 *     npm test [-- [--coverage] [test/some.test.ts ...]]
 *     npm run test:drivers
 *
 * Without files: the tests, the conformance program, and the clients; with files: those only. With --drivers: each
 * storage driver against each of its real back ends, on networks that break, and below a whole Berth, which takes long.
 * On Debian, as root, what they need is installed first. What can't be run is skipped with a line that says what is
 * missing; in continuous integration (CI=true) that is a failure, the drivers are tested as well, and the short benchmark
 * comes last: it wants a machine that does nothing else. The last line is `N passed, N failed` with the totals of all.
 */
import { randomUUID } from 'node:crypto'
import { globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { attempt } from '../conformance/process.ts'
import { projectFolder } from '../conformance/programs.ts'
import { type Counts, exitCodeOf, readSummary, summaryLine } from '../conformance/summary.ts'
import { temporaryFolder } from '../conformance/temporary.ts'
import { installGoTools } from './runner/go-tools.ts'
import { watchProcesses } from './runner/leftovers.ts'
import { installPackages } from './runner/packages.ts'
import { startTestPostgres } from './runner/postgres.ts'
import { listLongFiles, runTap, type TapOptions } from './runner/tap.ts'

const marker = 'BERTH_TEST_RUN'
const inCI = process.env['CI'] === 'true'

const { values, positionals: files } = parseArgs({
  options: { coverage: { type: 'boolean', default: false }, drivers: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const total: Counts = { passed: 0, failed: 0, skipped: 0 }
const failures: string[] = []

function count({ passed, failed, skipped }: Counts, what: string): void {
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
  if (failed > 0) failures.push(`${what}: ${failed} failed`)
}

async function runFiles(what: string, { files, jobs }: Pick<TapOptions, 'files' | 'jobs'>): Promise<void> {
  const { passed, failed, failures: failedTests, skips } = await runTap({ files, jobs, coverage: values.coverage })
  count({ passed, failed, skipped: skips.length }, what)
  failures.push(...failedTests.map(failure => `  ${failure.title.slice(0, 300)}`))
}

async function runTests(): Promise<void> {
  await using _postgres = await startTestPostgres(join(tmpdir(), 'postgres'))
  const long = listLongFiles()
  const short = globSync('test/storage-drivers/*.test.ts', { cwd: projectFolder }).filter(file => !long.includes(file))
  await runFiles('tests', { files: values.drivers ? short.toSorted() : files, jobs: 2 })
  if (!values.drivers && (!inCI || files.length > 0)) return
  // One at a time where a whole Berth and its back end have their memory measured.
  const alone = long.filter(file => file.includes('/berth-'))
  await runFiles('drivers', { files: long.filter(file => !alone.includes(file)), jobs: 2 })
  await runFiles('drivers below Berth', { files: alone, jobs: 1 })
}

/** A check that is a program of its own and prints its counts last. */
async function runCheck(script: string, ...args: string[]): Promise<void> {
  console.log(`\n${[script, ...args].join(' ')}`)
  const { code, stdout, timedOut } = await attempt(process.execPath, [script, ...args], {
    cwd: projectFolder,
    seconds: 1800,
    onOutput: (bytes, from) => process[from].write(bytes),
  })
  const counts = readSummary(stdout)
  // Whatever it counted: one that did not end as its counts say has failed.
  const whole = !timedOut && counts !== undefined && code === exitCodeOf(counts)
  count(whole ? counts : { passed: counts?.passed ?? 0, failed: (counts?.failed ?? 0) + 1, skipped: 0 }, script)
  if (!whole) failures.push(`  ${script} ${timedOut ? 'took too long' : `ended with ${code ?? 'a signal'}`}`)
}

async function runAll(): Promise<void> {
  await installPackages()
  if (files.length === 0) await installGoTools()
  await runTests()
  if (files.length > 0 || values.drivers) return
  await runCheck('conformance/oci.ts')
  await runCheck('conformance/clients/index.ts')
  if (inCI) await runCheck('benchmarks/run.ts', '--quick')
}

process.env[marker] = randomUUID()
// What a test that was killed has left in its folders goes with the run's own.
process.env['TMPDIR'] = temporaryFolder('run')
const watch = watchProcesses(marker, process.env[marker])
try {
  await runAll()
} catch (error) {
  console.log(error)
  count({ passed: 0, failed: 1, skipped: 0 }, 'the run itself broke off')
}
const leftovers = (await watch?.leftovers()) ?? []
if (leftovers.length > 0) {
  count({ passed: 0, failed: 1, skipped: 0 }, 'processes left behind')
  failures.push(...leftovers.map(name => `  ${name}`))
}
console.log(['', ...failures, summaryLine(total)].join('\n'))
process.exit(exitCodeOf(total))
