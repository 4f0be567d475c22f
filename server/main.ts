#!/usr/bin/env node
import { createProgram } from './cli/index.ts'
import { ConfigError } from './config/config.ts'
import { reasonOf } from './lib/reason.ts'

/** The process: one command, from its start to its end. What goes wrong is one message on stderr, and exit code 1. */
try {
  await createProgram().parseAsync()
} catch (error) {
  process.stderr.write(`berth: ${describe(error)}\n`)
  process.exitCode = 1
}
// What can't be called off, such as a store that hangs, must not keep the process when its work is done.
setTimeout(() => process.exit(), 5_000).unref()

function describe(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  // A mistake of ours: whoever reports it needs to say where.
  if (error instanceof TypeError || error instanceof ReferenceError) return error.stack ?? error.message
  return reasonOf(error)
}
