import { type SpawnOptions, spawn } from 'node:child_process'

/** What to start, and with which of Node's options. */
export interface Command {
  file: string
  args: readonly string[]
  options: SpawnOptions
}

/**
 * The whole environment of Postgres and of the tools around it. Nothing of Berth's own gets there: its secrets are
 * no business of theirs, and variables such as PGPORT or TZ would change what they do.
 */
export const cleanEnvironment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
}

export interface Outcome {
  /** The exit status; null when a signal ended it. */
  code: number | null
  /** What it wrote, the last 8 KiB. */
  output: string
}

/**
 * Runs a command to its end. A file descriptor given in `inherit` is the command's number 3.
 * @throws the system's error (ENOENT, EACCES, ...) when it can't be started
 */
export function runToEnd({ file, args, options }: Command, { inherit }: { inherit?: number } = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe', ...(inherit === undefined ? [] : [inherit])],
    })
    let output = ''
    const collect = (text: string) => (output = (output + text).slice(-8192))
    child.stdout?.setEncoding('utf8').on('data', collect)
    child.stderr?.setEncoding('utf8').on('data', collect)
    child.on('error', reject)
    child.on('close', code => resolve({ code, output: output.trim() }))
  })
}
