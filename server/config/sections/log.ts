import { Type } from 'typebox'
import { entry, flag, oneOf, partial, section, text } from '../fields.ts'

export const logLevels = ['error', 'warn', 'info', 'debug'] as const

export const log = section({
  level: oneOf(logLevels, 'info'),
  formatter: oneOf(['text', 'json', 'logstash'], 'text'),
  /** Added to each line. */
  fields: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
  accesslog: section({ disabled: flag(false) }),
  /** Without effect here. */
  reportcaller: Type.Optional(flag()),
  hooks: Type.Optional(
    Type.Array(
      entry({
        disabled: flag(false),
        type: Type.Optional(text()),
        levels: Type.Optional(Type.Array(text())),
        options: Type.Optional(
          entry(
            {
              smtp: Type.Optional(partial({ addr: text(), username: text(), password: text(), insecure: flag() })),
              from: Type.Optional(text()),
              to: Type.Optional(Type.Array(text())),
            },
            { environment: 'MAILOPTIONS' },
          ),
        ),
      }),
    ),
  ),
})
