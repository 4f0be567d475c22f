import { type BigIntStats, readFileSync, statSync } from 'node:fs'
import type { Logger } from '../lib/log.ts'
import { reasonOf } from '../lib/reason.ts'

/** What is made of a file that its owner may change under a running registry. */
export interface FreshFile<Value> {
  /** What it says, as of a second ago at most; the same object for as long as it says the same. */
  current(this: void): Value
  /** What it says as of now. */
  latest(this: void): Value
}

export interface FreshFileOptions<Value> {
  path: string
  /** The key of the configuration that names the file, for what is told about it. */
  setting: string
  /** Makes the value. @throws Error that says in one sentence why the text can't be used */
  read(this: void, text: string): Value
  /** Whether a text can't be the first part of one that is being written; any is whole when left out. */
  isWhole?(this: void, text: string): boolean
  log: Logger
}

/** It is looked at so often when it is asked for, in milliseconds. */
const everyMs = 1000
/** A file that is younger may change once more without showing it: times of files go in steps. */
const settlingMs = 2000

/**
 * Reads a file now, and again whenever it has changed: when it is asked for, so that nothing runs beside the requests.
 * One that can't be used any more is told once in the log, and what it said before stays.
 * @throws Error with what to do when it can't be used now
 */
export function openFreshFile<Value>(options: FreshFileOptions<Value>): FreshFile<Value> {
  const { path, setting, read, isWhole = () => true, log } = options
  let { mark, text } = firstContent(path, setting)
  let value = firstValue(text, options)
  let lookedAt = performance.now()
  let complaint: string | undefined

  function look(): void {
    lookedAt = performance.now()
    try {
      if (markOf(statSync(path, { bigint: true })) === mark) return
      const found = contentOf(path)
      mark = found.mark
      if (found.text !== text) {
        if (mark === undefined && !isWhole(found.text)) throw new Error('it is being written')
        value = read(found.text)
        text = found.text
        log.info({ file: path }, 'changed file read')
      }
      complaint = undefined
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== complaint) log.warn({ file: path, setting, reason }, 'changed file not usable, what it said stays')
      complaint = reason
    }
  }

  return {
    current() {
      if (performance.now() - lookedAt >= everyMs) look()
      return value
    },
    latest() {
      look()
      return value
    },
  }
}

interface Content {
  text: string
  /** By which a later change can be told; undefined while the file is too young for that. */
  mark: string | undefined
}

function contentOf(path: string): Content {
  const before = statSync(path, { bigint: true })
  const text = readFileSync(path, 'utf8')
  const mark = markOf(before)
  const age = Math.abs(Date.now() - Number(before.mtimeMs))
  const settled = age >= settlingMs && mark === markOf(statSync(path, { bigint: true }))
  return { text, mark: settled ? mark : undefined }
}

function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join()
}

function firstContent(path: string, setting: string): Content {
  try {
    return contentOf(path)
  } catch (error) {
    throw new Error(
      `${setting}: the file ${path} can not be read (${reasonOf(error)}): correct the path, or let Berth's user read it`,
      { cause: error },
    )
  }
}

function firstValue<Value>(text: string, { path, setting, read }: FreshFileOptions<Value>): Value {
  try {
    return read(text)
  } catch (error) {
    throw new Error(`${setting}: the file ${path} can not be used: ${reasonOf(error)}`, { cause: error })
  }
}
