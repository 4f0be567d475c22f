/** Berth as a process that is expected to end by itself. */
import { join } from 'node:path'
import { attempt, type RunResult } from '../../conformance/process.ts'
import { projectFolder } from '../../conformance/programs.ts'

export interface BerthRunOptions {
  /** Settings, over an environment without any. */
  env?: Record<string, string>
  cwd?: string
  /** What it reads from its standard input; nothing when left out. */
  input?: string
  /** Run as this user, which root alone can do. */
  uid?: number
}

/** Runs `berth` with these arguments to its end, for 60 seconds at most. */
export function runBerth(
  args: readonly string[],
  { env = {}, cwd, input, uid }: BerthRunOptions = {},
): Promise<RunResult> {
  const settings = Object.keys(process.env).filter(name => /^(REGISTRY|BERTH)_|^DB_URI$/.test(name))
  const program = [process.execPath, join(projectFolder, 'server/main.ts'), ...args]
  // Another user may not write where tap has each Node that a test starts leave its notes.
  const plain = ['env', '--unset=NODE_OPTIONS']
  const as = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', ...plain]
  const [command = '', ...rest] = [...as, ...program]
  return attempt(command, rest, {
    env: { ...Object.fromEntries(settings.map(name => [name, undefined])), ...env },
    ...(cwd === undefined ? {} : { cwd }),
    ...(input === undefined ? {} : { input }),
    seconds: 60,
  })
}
