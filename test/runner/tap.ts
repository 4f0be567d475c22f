import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { attempt, run } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'
import { createTally, type Failure, type FileTally, type Tally } from './tally.ts'

const tap = join(projectFolder, 'node_modules/tap/dist/esm/run.mjs')

export interface TapOptions {
  /** The files to run; when none is named all but those that .taprc leaves out. */
  files: readonly string[]
  /** Measures coverage too, and prints a table of it. */
  coverage: boolean
  /** Files that run at a time. */
  jobs: number
}

/** Runs test files; prints a line for each, and every failure in full. */
export async function runTap({ files, coverage, jobs }: TapOptions): Promise<Tally> {
  await buildTap()
  const expected = await listFiles(files)
  const total: Tally = { passed: 0, failed: 0, failures: [], skips: [] }
  const include = (tally: FileTally) => {
    expected.delete(tally.file)
    total.passed += tally.passed
    total.failed += tally.failed
    total.failures.push(...tally.failures)
    total.skips.push(...tally.skips)
    printFile(tally)
  }
  const tally = createTally(include, line => coverage && process.stdout.write(line))
  const args = [
    'run',
    '--reporter=tap',
    '--no-color',
    `--jobs=${jobs}`,
    ...(coverage ? [] : ['--disable-coverage']),
    ...files,
  ]
  const result = await attempt(process.execPath, [tap, ...args], {
    cwd: projectFolder,
    seconds: 3600,
    onOutput(bytes, from) {
      if (from === 'stdout') tally.write(bytes)
      else process.stderr.write(bytes)
    },
  })
  await new Promise(resolve => tally.once('complete', resolve).end())

  // A file that says nothing at all is passed over by tap without a word.
  for (const file of expected) include(failedFile(file, 'ended without having run any test'))
  if (result.timedOut) include(failedFile('tap', 'took too long'))
  else if (result.code !== 0 && total.failed === 0)
    include(failedFile('tap', `ended with ${result.code ?? 'a signal'}`))
  return total
}

function failedFile(file: string, what: string): FileTally {
  return {
    file,
    milliseconds: 0,
    passed: 0,
    failed: 1,
    failures: [{ title: `${file} ${what}`, details: {} }],
    skips: [],
  }
}

interface Settings {
  plugin: string[]
  /** Patterns of files that run only when they are named. */
  exclude: string[]
}

function readSettings(): Settings {
  const settings: Settings = parse(readFileSync(join(projectFolder, '.taprc'), 'utf8'))
  return settings
}

/** The files that .taprc leaves out. */
export function listLongFiles(): string[] {
  return globSync(readSettings().exclude, { cwd: projectFolder }).toSorted()
}

/** Builds tap's own test class when it isn't that of `.taprc`: built while it runs, it fails in every file. */
async function buildTap(): Promise<void> {
  const settings = readSettings()
  const built = join(projectFolder, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')
  const text = existsSync(built) ? readFileSync(built, 'utf8') : ''
  const right = settings.plugin.every(name =>
    name.startsWith('!') ? !text.includes(`"${name.slice(1)}"`) : text.includes(`"${name}"`),
  )
  if (text === '' || !right) await run(process.execPath, [tap, 'build'], { cwd: projectFolder })
}

async function listFiles(files: readonly string[]): Promise<Set<string>> {
  const { stdout } = await run(process.execPath, [tap, 'list', ...files], { cwd: projectFolder })
  return new Set(stdout.split('\n').filter(line => line !== ''))
}

function printFile({ file, passed, failed, failures, skips, milliseconds }: FileTally): void {
  const counts = [
    `${passed} passed`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skips.length === 0 ? [] : [`${skips.length} skipped`]),
  ]
  console.log(`${failed === 0 ? 'ok    ' : 'not ok'} ${file}: ${counts.join(', ')} (${Math.round(milliseconds)} ms)`)
  for (const title of skips) console.log(`skipped: ${title}`)
  for (const failure of failures) console.log(describe(failure))
}

/** What tap tells of a failure that is no help: how it had started the file, and the lines around the place. */
const noise = new Set(['source', 'stdio', 'cwd', 'externalID', 'command', 'args', 'jobId', 'at'])

function describe({ title, details }: Failure): string {
  const { fileName, lineNumber } = placeOf(details['at'])
  const place = fileName === undefined ? [] : [['at', `${fileName}:${lineNumber}`]]
  const told = [...place, ...Object.entries(details).filter(([name]) => !noise.has(name))]
  const text = told.length === 0 ? '' : stringify(Object.fromEntries(told), { lineWidth: 0 })
  return `  not ok: ${title}\n${text.replaceAll(/^(?=.)/gm, '    ')}`.trimEnd()
}

function placeOf(at: unknown): { fileName?: string; lineNumber?: number } {
  return typeof at === 'object' && at !== null ? { ...at } : {}
}
