import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Logger } from '../../lib/log.ts'

/** What Postgres writes to its standard error: warnings and worse go to the log, the last lines are kept. */
export interface ServerLog {
  /** The last lines, whatever their level, without what stands in front of them. */
  lastLines(): string[]
}

const linesKept = 12
/** It stops, also while someone logs in, it crashed and recovers, it is not ready: the client is told so by an error. */
const passing = /^57(P0[123]|014)$/
/** Insufficient resources, system errors, internal errors and corruption; not "too many connections". */
const ofTheServer = /^(53(?!300)|58|XX)/

export function followServerLog(stream: Readable, log: Logger): ServerLog {
  const kept: string[] = []
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', line => {
    const { code, severity, text } = parseLine(line)
    // A statement may carry what is no business of a log, and what passes explains nothing.
    if (text === '' || severity === 'STATEMENT' || passing.test(code ?? '')) return
    kept.push(severity === undefined ? text : `${severity}: ${text}`)
    if (kept.length > linesKept) kept.shift()
    if (isTrouble({ code, severity, text })) log.warn({ severity, code, text }, 'embedded postgres reports trouble')
    else if (severity === 'LOG' || severity === 'ERROR')
      log.debug({ severity, code, text }, 'embedded postgres reports')
  })
  return { lastLines: () => [...kept] }
}

interface Line {
  /** The SQLSTATE; lines from before the settings are read have none. */
  code: string | undefined
  /** LOG, WARNING, ..., or DETAIL, HINT, STATEMENT; undefined for what the server's own words do not look like. */
  severity: string | undefined
  text: string
}

/** Takes apart a line such as `57P03 FATAL:  the database system is starting up`. */
function parseLine(line: string): Line {
  const [, code, severity, text] = /^(?:([0-9A-Z]{5}) |\S+ \S+ \S+ \[\d+\] )?([A-Z]+\d?):\s+(.*)$/.exec(line) ?? []
  return { code, severity, text: text ?? line.trim() }
}

function isTrouble({ code, severity, text }: Line): boolean {
  switch (severity ?? '') {
    case 'WARNING':
    case 'FATAL':
    case 'PANIC':
      return true
    case 'ERROR':
      // The answer to a statement of Berth's, which sees to it; but a full disk or a broken file is trouble.
      return ofTheServer.test(code ?? '')
    case 'LOG':
      // That a process crashed is told at this level.
      return /was terminated by (signal|exception)|exited with exit code/.test(text)
    default:
      return false
  }
}
