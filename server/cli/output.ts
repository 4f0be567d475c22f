import pino from 'pino'

/** Stdout for a log: the lines of one turn of the event loop go out in one write, which costs more than the lines. */
export interface LogOutput {
  write(line: string): void
  /** Writes what waits, before something else goes to stdout. */
  flush(): void
}

/** Bytes that a pipe takes whole, whoever else writes to it at that moment: PIPE_BUF of Linux (pipe(7)). */
const wholeBytes = 4096

export interface LogOutputOptions {
  /** Whether other processes write to the same stdout: then no write is so long that it may mix with one of theirs. */
  shared: boolean
}

export function createLogOutput({ shared }: LogOutputOptions): LogOutput {
  const stdout = pino.destination({ fd: 1, sync: true })
  let waiting = ''
  let waitingBytes = 0

  function flush(): void {
    const lines = waiting
    waiting = ''
    waitingBytes = 0
    if (lines !== '') stdout.write(lines)
  }
  process.on('exit', flush)

  return {
    write(line) {
      if (shared) {
        const bytes = Buffer.byteLength(line)
        if (waitingBytes + bytes > wholeBytes) flush()
        waitingBytes += bytes
      }
      if (waiting === '') setImmediate(flush)
      waiting += line
    },
    flush,
  }
}
