/** What the tests about a start that fails have in common. */
import { once } from 'node:events'
import type { Server } from 'node:net'
import type { Test } from 'tap'
import { type BerthRunOptions, runBerth } from './run-berth.ts'

/** A configuration without anything in it. */
export const emptyConfig = 'conformance/empty.yml'

/** Berth is started, and must end at once with one sentence on its standard error and status 1. */
export async function refuses(
  t: Test,
  options: BerthRunOptions,
  sentence: RegExp,
  args = ['serve', emptyConfig],
): Promise<string> {
  const env = { REGISTRY_HTTP_ADDR: '127.0.0.1:0', REGISTRY_LOG_LEVEL: 'error', ...options.env }
  const { code, stderr, stdout, timedOut } = await runBerth(args, { ...options, env })
  t.equal(timedOut, false, 'it ends by itself')
  t.equal(code, 1)
  t.match(stderr, sentence)
  t.equal(stderr.trim().split('\n').length, 1, `one line: ${stderr}`)
  return stderr + stdout
}

/** Has a server listen until the test ends. @returns its port */
export async function portOf(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
