import pino from 'pino'
import pretty from 'pino-pretty'
import type { Config } from '../config/config.ts'

/** The log as `log` of the configuration wants it, on stdout: text for people, JSON, or JSON as logstash names things. */
export function createLogger({ level, formatter, fields }: Config['log']): pino.Logger {
  const base = { ...fields }
  switch (formatter) {
    case 'text':
      return pino(
        { level, base },
        pretty({ ignore: 'hostname,pid', translateTime: 'SYS:HH:MM:ss.l', singleLine: true, sync: true }),
      )
    case 'json':
      return pino({
        level,
        base,
        formatters: { level: label => ({ level: label }) },
        timestamp: pino.stdTimeFunctions.isoTime,
      })
    case 'logstash':
      return pino({
        level,
        base: { '@version': '1', ...base },
        messageKey: 'message',
        formatters: { level: label => ({ level: label }) },
        timestamp: () => `,"@timestamp":"${new Date().toISOString()}"`,
      })
    default:
      return formatter satisfies never
  }
}
