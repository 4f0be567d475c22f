import type { Logger as PinoLogger } from 'pino'

/** What code below the process's start may log with. Messages are fixed words; what varies is a field. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>

/** For tests and for code that runs before there is a log. */
export const silentLog: Logger = { debug() {}, info() {}, warn() {}, error() {} }
