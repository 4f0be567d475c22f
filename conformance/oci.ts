/**
 * The official conformance program of the OCI distribution specification, in its strictest configuration.
 *
 *     npm run conformance [-- --registry HOST:PORT [--ca FILE]] [--config FILE] [--env NAME=VALUE ...]
 *
 * The program is the one that OCI_CONFORMANCE names, else `oci-conformance` on the PATH, else Go installs it.
 * Without --registry Berth itself is started with an empty data folder, and with the configuration and the environment
 * given. The program's exit code is not enough: it
 * forgives what a registry says not to support. So its results are read, and every row must say Pass.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { parse, stringify } from 'yaml'
import { serve } from './berth.ts'
import { attempt, type RunResult } from './process.ts'
import { cacheFolder, findProgram, resultsFolder } from './programs.ts'
import { type Counts, exitCodeOf, summaryLine } from './summary.ts'
import { temporaryFolder } from './temporary.ts'

/** The specification leaves it to a registry whether manifests may refer to what it doesn't hold; Berth asks. */
const settings = { REGISTRY_VALIDATION_MANIFESTS_SPARSE: 'true' }

const goModule = 'github.com/opencontainers/distribution-spec/conformance@main'

/** Rows of the strictest configuration: 28 kinds of request and 24 kinds of data. There may only come to be more. */
const rowsExpected = 52

const strictest = {
  version: 'dev',
  apis: {
    pull: true,
    push: true,
    blobs: { atomic: true, delete: true, digestHeader: true, mountAnonymous: true, uploadCancel: true },
    manifests: { atomic: true, delete: true, digestHeader: true, tagParam: true },
    tags: { atomic: true, delete: true, list: true },
    referrer: true,
  },
  data: {
    image: true,
    index: true,
    indexList: true,
    sparse: true,
    artifact: true,
    subject: true,
    subjectMissing: true,
    artifactList: true,
    subjectList: true,
    dataField: true,
    nondistributable: true,
    customFields: true,
    noLayers: true,
    emptyBlob: true,
    sha512: true,
  },
}

async function main(): Promise<Counts> {
  const { values } = parseArgs({
    options: {
      registry: { type: 'string' },
      ca: { type: 'string' },
      config: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
  })
  const program = await findConformance()
  if ('missing' in program) {
    console.log(`skipped: OCI conformance: ${program.missing}`)
    return { passed: 0, failed: 0, skipped: 1 }
  }
  const folder = temporaryFolder('conformance')
  if (values.registry !== undefined) return judge(program.file, { folder, host: values.registry, ca: values.ca })
  const env = { ...settings, ...Object.fromEntries(values.env.map(pairOf)) }
  const berth = await serve({ data: join(folder, 'data'), config: values.config, env })
  try {
    return await judge(program.file, { folder, host: berth.host, ca: undefined })
  } finally {
    await berth.stop()
  }
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new Error(`--env takes NAME=VALUE, and not ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}

async function findConformance(): Promise<{ file: string } | { missing: string }> {
  const named = process.env['OCI_CONFORMANCE']
  if (named !== undefined && named !== '') return { file: named }
  const found = findProgram('oci-conformance')
  if (found !== undefined) return { file: found }
  const go = findProgram('go')
  if (go === undefined) return { missing: 'needs the program oci-conformance on the PATH, or Go to install it' }
  const bin = join(cacheFolder, 'bin')
  const built = await attempt(go, ['install', goModule], { env: { GOBIN: bin }, seconds: 600 })
  if (built.code === 0) return { file: join(bin, 'conformance') }
  const why = built.output.trim().split('\n').at(-1) ?? ''
  return { missing: `needs the program oci-conformance on the PATH; go install ${goModule} said: ${why}` }
}

interface Registry {
  /** For files of this run. */
  folder: string
  host: string
  ca: string | undefined
}

/** Runs the program against a registry, prints what it found, and counts the rows. */
async function judge(program: string, { folder, host, ca }: Registry): Promise<Counts> {
  const configuration = join(folder, 'oci-conformance.yaml')
  const resultsDir = join(resultsFolder, 'oci-conformance')
  const repository = `conformance-${Date.now().toString(36)}`
  const asked = {
    resultsDir,
    registry: host,
    tls: ca === undefined ? 'disabled' : 'enabled',
    repo1: `${repository}/repo1`,
    repo2: `${repository}/repo2`,
    ...strictest,
  }
  await rm(resultsDir, { recursive: true, force: true })
  await writeFile(configuration, stringify(asked))
  const started = performance.now()
  const env = { OCI_CONFIGURATION: configuration, SSL_CERT_FILE: ca ?? process.env['SSL_CERT_FILE'] }
  const result = await attempt(program, [], { cwd: folder, env, seconds: 300 })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)

  const rows = await readRows(join(resultsDir, 'results.yaml'))
  const faults = faultsIn(rows, result)
  for (const fault of faults) console.log(`not ok: OCI conformance: ${fault}`)
  if (faults.length > 0) for (const line of complaints(result)) console.log(`  ${line}`)
  const passed = rows.filter(row => row.state === 'Pass').length
  const tests = await countTests(join(resultsDir, 'junit.xml'))
  console.log(
    `OCI conformance: ${passed} of ${rows.length} rows pass; ` +
      `${tests.all} tests, ${tests.failed} failed, ${tests.skipped} skipped; ${seconds} s`,
  )
  if (faults.length > 0) console.log(`  every request and answer: ${resultsDir}/report.html`)
  return { passed, failed: faults.length, skipped: 0 }
}

interface Row {
  name: string
  /** Pass, FAIL, Skip, Error or Disabled. */
  state: string
}

function faultsIn(rows: readonly Row[], result: RunResult): string[] {
  const faults = rows.filter(row => row.state !== 'Pass').map(row => `${row.name}: ${row.state}`)
  if (rows.length < rowsExpected) faults.push(`${rows.length} rows in the results where ${rowsExpected} are expected`)
  if (faults.length === 0 && result.code !== 0)
    faults.push(`every row passes, but the program ended with ${result.code}`)
  return faults
}

/** What the program says of each test that failed, shortened; or the end of all it said. */
function complaints({ stderr, output }: RunResult): string[] {
  const failed = [...stderr.matchAll(/msg="failed test" name="(?:OCI Conformance Test\/)?([^"]*)" error=(.*)/g)]
  const lines = failed.map(
    ([, name, error = '']) => `${name}: ${error.length > 500 ? `${error.slice(0, 500)}...` : error}`,
  )
  if (lines.length === 0) return output.trim().split('\n').slice(-10)
  return lines.length > 60 ? [...lines.slice(0, 60), `... and ${lines.length - 60} more`] : lines
}

async function readRows(file: string): Promise<Row[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const results = fieldsOf(parse(text))
  return ['apis', 'data'].flatMap(part =>
    Object.entries(fieldsOf(results[part])).map(([name, state]) => ({
      name: `${part}: ${name}`,
      state: String(state),
    })),
  )
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

async function countTests(file: string): Promise<{ all: number; failed: number; skipped: number }> {
  const junit = await readFile(file, 'utf8').catch(() => '')
  const head = /<testsuites [^>]*>/.exec(junit)?.[0] ?? ''
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
  return { all: count('tests'), failed: count('failures'), skipped: count('skipped') }
}

const counts = await main().catch((error: unknown) => {
  console.log(`not ok: OCI conformance: ${error instanceof Error ? error.message : String(error)}`)
  return { passed: 0, failed: 1, skipped: 0 }
})
console.log(summaryLine(counts))
process.exit(exitCodeOf(counts))
