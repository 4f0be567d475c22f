import { type PrettyOptions, prettyFactory } from 'pino-pretty'
import type { LogOutput } from './output.ts'

/**
 * Lines for people. pino-pretty makes them, but for those of requests and the like: to parse each of thousands of lines
 * a second, only to write it anew, costs more than the requests that they are about. These are cut and put together.
 */
const options: PrettyOptions = {
  translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
  singleLine: true,
}

const levels: Record<string, string> = { 10: 'TRACE', 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR', 60: 'FATAL' }

/** Where pino is to write to, so that its lines come out as text. `pid`: with the id of the process. */
export function textStream(output: LogOutput, { pid }: { pid: boolean }): LogOutput {
  const coloured = process.stdout.isTTY && process.stdout.hasColors()
  const pretty = prettyFactory({ ...options, ignore: pid ? 'hostname' : 'hostname,pid', colorize: coloured })
  const now = clock()
  return {
    write(line) {
      output.write((coloured ? undefined : textOf(line, now)) ?? pretty(line) ?? line)
    },
    flush: () => output.flush(),
  }
}

const shape = /^\{"level":(\d\d),"time":(\d+)/

/**
 * The text of one of pino's lines, whose order of fields is fixed: level, time, what is logged, the message.
 * @returns undefined for one that needs more than cutting: an error, whose stack is to be read
 */
function textOf(line: string, now: (ms: number) => string): string | undefined {
  const head = shape.exec(line)
  const end = line.lastIndexOf(',"msg":"')
  if (head === null || end < 0 || !line.endsWith('"}\n') || line.includes('"err":')) return undefined
  const message = line.slice(end + 8, -3)
  // An escape, or a field behind the message.
  if (message.includes('\\') || message.includes('"')) return undefined
  const fields = line.slice(head[0].length + 1, end)
  return `[${now(Number(head[2]))}] ${levels[head[1] ?? ''] ?? ''}: ${message}${fields === '' ? '' : ` {${fields}}`}\n`
}

const two = (number: number) => String(number).padStart(2, '0')

/** Local time as text; the part up to the seconds is made once a second. */
function clock(): (ms: number) => string {
  let second = -1
  let text = ''
  return ms => {
    const current = Math.floor(ms / 1000)
    if (current !== second) {
      second = current
      const date = new Date(ms)
      text =
        `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
        `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
    }
    return `${text}.${String(ms % 1000).padStart(3, '0')}`
  }
}
