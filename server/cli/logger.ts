import pino from 'pino'
import type { Config } from '../config/config.ts'
import { createLogOutput } from './output.ts'
import { textStream } from './text-log.ts'

export interface LoggerOptions {
  /** Whether other processes of Berth write to the same stdout: then each line tells the process that it is of. */
  shared: boolean
}

/** The log as `log` of the configuration wants it, on stdout: text for people, JSON, or JSON as logstash names things. */
export function createLogger({ level, formatter, fields }: Config['log'], { shared }: LoggerOptions): pino.Logger {
  const output = createLogOutput({ shared })
  const { pid } = process
  // No field of `base`: a line may have a `pid` of its own, about another process, and a name stands in a line once.
  const options = { level, base: { ...fields }, ...(shared ? { mixin: () => ({ pid }) } : {}) }
  const withLevelNames = { ...options, formatters: { level: (label: string) => ({ level: label }) } }
  switch (formatter) {
    case 'text':
      return pino(options, textStream(output, { pid: shared }))
    case 'json':
      return pino({ ...withLevelNames, timestamp: pino.stdTimeFunctions.isoTime }, output)
    case 'logstash':
      return pino(
        {
          ...withLevelNames,
          base: { '@version': '1', ...fields },
          messageKey: 'message',
          timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`,
        },
        output,
      )
    default:
      return formatter satisfies never
  }
}
