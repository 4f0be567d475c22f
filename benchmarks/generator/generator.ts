import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Order, Report } from './messages.ts'

/** The benchmark's side of a generator. */
export interface Generator extends Disposable {
  readonly pid: number
  /** Gives an order and waits for its report. @throws Error with the reason when it failed */
  ask: (order: Order) => Promise<Exclude<Report, { kind: 'failed' }>>
}

/** Starts a generator; it ends with this process. */
export function startGenerator(): Generator {
  const child = fork(join(import.meta.dirname, 'main.ts'), {
    // With it NaN stays what it is.
    serialization: 'advanced',
  })
  const { pid } = child
  if (pid === undefined) throw new Error('the generator could not be started')
  return {
    pid,
    async ask(order) {
      const report = await reportFor(child, order)
      if (report.kind === 'failed') throw new Error(report.reason)
      return report
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  }
}

function reportFor(child: ChildProcess, order: Order): Promise<Report> {
  return new Promise((resolve, reject) => {
    const onMessage = (report: Report) => {
      child.off('exit', onExit)
      resolve(report)
    }
    const onExit = () => {
      child.off('message', onMessage)
      reject(new Error('the generator has ended'))
    }
    child.once('message', onMessage)
    child.once('exit', onExit)
    child.send(order)
  })
}
