/**
 * Counts the tests in TAP. A test is a `t.test` without further ones in it; a file without any is one test itself.
 * What is asserted beside tests counts only when it fails, and a file that crashes or hangs has failed.
 */
import { Parser, type Result } from 'tap-parser'

export interface Failure {
  /** `file > test > assertion` */
  title: string
  /** What tap knows of it. */
  details: Record<string, unknown>
}

export interface Tally {
  passed: number
  /** How many tests failed; each has one or more failures. */
  failed: number
  failures: Failure[]
  /** `file > test: reason`, one for each test that was left out. */
  skips: string[]
}

export interface FileTally extends Tally {
  file: string
  milliseconds: number
}

/** What is known of a test while it is open: `failures` and the counts are those of the tests within it. */
interface Level extends Tally {
  tests: number
  assertions: number
  /** What failed beside the tests within it. */
  own: Failure[]
}

/**
 * A stream to write TAP into.
 * @param onFile called as each file ends
 * @param onOther called with each line that is no TAP, such as one of a table of coverage
 */
export function createTally(onFile: (tally: FileTally) => void, onOther: (line: string) => void): Parser {
  const parser = new Parser()
  const failed = new Set<string>()
  const report = (file: string, milliseconds: number, { passed, failed: count, failures, skips }: Tally) => {
    if (count > 0) failed.add(file)
    onFile({ file, milliseconds, passed, failed: count, failures, skips })
  }
  follow(parser, (result, inside) => {
    const expired = detailsOf(result)['expired']
    // Of a file that hung tap says so twice: in the file, and here.
    if (inside === undefined && typeof expired === 'string' && failed.has(expired)) return
    const level = newLevel()
    add(level, result, inside)
    const failures = [...level.failures, ...level.own]
    report(result.name, result.time ?? 0, { ...level, failures, failed: level.failed + level.own.length })
  })
  parser.on('bailout', (reason: unknown) => {
    const title = `tap gave up: ${String(reason)}`
    report('tap', 0, { passed: 0, failed: 1, failures: [{ title, details: {} }], skips: [] })
  })
  parser.on('extra', (line: unknown) => onOther(String(line)))
  return parser
}

/** Calls `close` with each result that the parser meets, and with what was inside of it when it is that of a test. */
function follow(parser: Parser, close: (result: Result, inside: Level | undefined) => void): void {
  let open: Level | undefined
  parser.on('child', (child: Parser) => {
    const level = newLevel()
    open = level
    follow(child, (result, inside) => add(level, result, inside))
  })
  parser.on('assert', (result: Result) => {
    const inside = result.closingTestPoint ? open : undefined
    if (result.closingTestPoint) open = undefined
    close(result, inside)
  })
}

/** Adds an assertion, or a test with what was inside of it, to the level around it. */
function add(level: Level, result: Result, inside: Level | undefined): void {
  // tap's own reason for a file without any test, which is more likely a mistake than a wish.
  const empty = result.skip === 'no tests found'
  const leftOut = !empty && (result.skip !== false || result.todo !== false)
  if (leftOut) level.skips.push(skipTitle(result))
  if (inside === undefined) {
    if (leftOut) return
    if (result.ok) level.assertions++
    else level.own.push(failureOf(result))
    return
  }
  const broken =
    (empty || !result.ok) && !leftOut && inside.own.length === 0 && (inside.failed === 0 || crashed(result))
  const own = broken ? [failureOf(result)] : inside.own
  const failed = inside.failed + (own.length > 0 ? 1 : 0)
  const didSomething = inside.assertions > 0 || (inside.skips.length === 0 && !leftOut)
  level.tests++
  level.passed += inside.passed + (inside.tests === 0 && failed === 0 && didSomething ? 1 : 0)
  level.failed += failed
  level.failures.push(...inside.failures, ...own)
  level.skips.push(...inside.skips)
}

/** Whether a signal ended the file; that by which tap ends one which hangs comes after a failure that says so. */
function crashed(result: Result): boolean {
  const { signal } = detailsOf(result)
  return typeof signal === 'string' && signal !== 'SIGALRM'
}

function failureOf(result: Result): Failure {
  const reason = typeof result.skip === 'string' ? `: ${result.skip}` : ''
  return { title: `${result.fullname}${reason}`, details: detailsOf(result) }
}

function newLevel(): Level {
  return { passed: 0, failed: 0, failures: [], skips: [], tests: 0, assertions: 0, own: [] }
}

function skipTitle({ fullname, skip, todo }: Result): string {
  const reason = [skip, todo].find(value => typeof value === 'string')
  return reason === undefined ? fullname : `${fullname}: ${reason}`
}

function detailsOf({ diag }: Result): Record<string, unknown> {
  const details: unknown = diag
  return typeof details === 'object' && details !== null ? { ...details } : {}
}
