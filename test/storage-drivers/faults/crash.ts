import { readFileSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { start, type StartedProcess, untilReady } from '../../../conformance/process.ts'
import type { Crashed } from './back-end.ts'

/**
 * For a server that can be killed again and again: each call ends it by SIGKILL, and `restart` starts the same program
 * with the same arguments once more. What was started so ends with the test file.
 * @param answers whether it serves again
 */
export function crasherOf(server: StartedProcess, answers: () => Promise<boolean>): () => Promise<Crashed> {
  let running = server
  t.teardown(async () => {
    if (running !== server) await running.stop(1)
  })
  return async () => {
    const { pid } = running
    const [command = '', ...args] = listOf(`/proc/${pid}/cmdline`)
    const cwd = readlinkSync(`/proc/${pid}/cwd`)
    const env = Object.fromEntries(
      listOf(`/proc/${pid}/environ`).map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    )
    running.kill('SIGKILL')
    await running.exited
    return {
      async restart() {
        running = await start(command, args, { cwd, env })
        await untilReady(answers, { process: running, what: command })
      },
    }
  }
}

/** What `/proc` ends by zero bytes. */
function listOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\0').slice(0, -1)
}

/** Whether an HTTP server answers at a URL, whatever it says. */
export function answersAt(url: string): () => Promise<boolean> {
  return async () => {
    await (await fetch(url)).arrayBuffer()
    return true
  }
}
