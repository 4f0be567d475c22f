import pino from 'pino'
import type { Config } from '../config/config.ts'
import { createLogOutput } from './output.ts'
import { textStream } from './text-log.ts'

/** The log as `log` of the configuration wants it, on stdout: text for people, JSON, or JSON as logstash names things. */
export function createLogger({ level, formatter, fields }: Config['log']): pino.Logger {
  const output = createLogOutput()
  const options = { level, base: { ...fields } }
  const withLevelNames = { ...options, formatters: { level: (label: string) => ({ level: label }) } }
  switch (formatter) {
    case 'text':
      return pino(options, textStream(output))
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
