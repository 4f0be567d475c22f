#!/usr/bin/env node
import { ConfigError } from './config/config.ts'
import { createProgram } from './cli/index.ts'

/** The process: one command, from its start to its end. What goes wrong is one message on stderr, and exit code 1. */
try {
  await createProgram().parseAsync()
} catch (error) {
  process.stderr.write(`berth: ${describe(error)}\n`)
  process.exitCode = 1
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof ConfigError) return error.message
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : ''
  return error.message + cause
}
