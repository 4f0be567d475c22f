import type { Answer } from './connection.ts'

/** Reads the answers on one connection, one after the other. */
export interface AnswerReader {
  /** Tells what comes next: `bodyless` for an answer to HEAD, `keep` where the body is wanted and not just counted. */
  begin: (expected: { bodyless: boolean; keep: boolean }) => void
  /** Takes the first `count` bytes of a buffer that may be overwritten afterwards. */
  read: (buffer: Buffer, count: number) => void
}

type State = 'head' | 'length' | 'chunk line' | 'chunk' | 'chunk end' | 'trailer'

/**
 * The framing of RFC 9112, section 6, as far as servers use it: a length, chunks, or no body at all.
 * An answer that ends with its connection is none that a registry gives, and fails as an error of the connection.
 */
export function createAnswerReader(onAnswer: (answer: Answer) => void): AnswerReader {
  let expected = { bodyless: false, keep: false }
  let state: State = 'head'
  let text = ''
  let left = 0
  let answer: Answer = emptyAnswer()
  let kept: Buffer[] = []

  function end(): void {
    const whole = answer
    if (kept.length > 0) whole.body = Buffer.concat(kept)
    kept = []
    text = ''
    state = 'head'
    onAnswer(whole)
  }

  function take(buffer: Buffer, from: number, to: number): void {
    answer.length += to - from
    // What went wrong says so in its body.
    if (expected.keep || answer.status >= 400) kept.push(Buffer.from(buffer.subarray(from, to)))
  }

  function headEnds(head: string): void {
    const status = Number(head.slice(9, 12))
    answer = { ...emptyAnswer(), status, head }
    if (status >= 100 && status < 200) return
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (expected.bodyless || status === 204 || status === 304) return end()
    if (length !== undefined) {
      left = Number(length)
      state = 'length'
      if (left === 0) end()
    } else if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      state = 'chunk line'
    } else {
      end()
    }
  }

  /** Collects up to and with `ending`. @returns where it goes on, and the text when it is whole */
  function line(buffer: Buffer, at: number, count: number, ending: string): { at: number; whole?: string } {
    if (text === '') {
      // The usual case: it is there as a whole, and only this much is made a string of.
      const end = buffer.indexOf(ending, at, 'latin1') + ending.length
      if (end > at + ending.length - 1 && end <= count) return { at: end, whole: buffer.toString('latin1', at, end) }
    }
    const before = text.length
    text += buffer.toString('latin1', at, count)
    const found = text.indexOf(ending, Math.max(0, before - ending.length))
    if (found === -1) return { at: count }
    const whole = text.slice(0, found + ending.length)
    text = ''
    return { at: at + whole.length - before, whole }
  }

  /** @returns where it goes on */
  function step(buffer: Buffer, at: number, count: number): number {
    switch (state) {
      case 'head': {
        const { at: next, whole } = line(buffer, at, count, '\r\n\r\n')
        if (whole !== undefined) headEnds(whole)
        return next
      }
      case 'length': {
        const next = Math.min(count, at + left)
        left -= next - at
        take(buffer, at, next)
        if (left === 0) end()
        return next
      }
      case 'chunk line': {
        const { at: next, whole } = line(buffer, at, count, '\r\n')
        if (whole !== undefined) {
          left = Number.parseInt(whole, 16)
          state = left === 0 ? 'trailer' : 'chunk'
        }
        return next
      }
      case 'chunk': {
        const next = Math.min(count, at + left)
        left -= next - at
        take(buffer, at, next)
        if (left === 0) state = 'chunk end'
        return next
      }
      case 'chunk end': {
        const { at: next, whole } = line(buffer, at, count, '\r\n')
        if (whole !== undefined) state = 'chunk line'
        return next
      }
      case 'trailer': {
        const { at: next, whole } = line(buffer, at, count, '\r\n')
        if (whole === '\r\n') end()
        return next
      }
      default:
        return state satisfies never
    }
  }

  return {
    begin(next) {
      expected = next
    },
    read(buffer, count) {
      for (let at = 0; at < count;) at = step(buffer, at, count)
    },
  }
}

function emptyAnswer(): Answer {
  return { status: 0, head: '', length: 0, body: Buffer.alloc(0) }
}
