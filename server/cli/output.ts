import pino from 'pino'

/** Stdout for a log: the lines of one turn of the event loop go out in one write, which costs more than the lines. */
export interface LogOutput {
  write(line: string): void
  /** Writes what waits, before something else goes to stdout. */
  flush(): void
}

export function createLogOutput(): LogOutput {
  const stdout = pino.destination({ fd: 1, sync: true })
  let waiting = ''

  function flush(): void {
    const lines = waiting
    waiting = ''
    if (lines !== '') stdout.write(lines)
  }
  process.on('exit', flush)

  return {
    write(line) {
      if (waiting === '') setImmediate(flush)
      waiting += line
    },
    flush,
  }
}
