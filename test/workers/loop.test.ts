import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Logger, silentLog } from '../../server/lib/log.ts'
import { runWorker, type Worker } from '../../server/workers/loop.ts'

/** Runs a worker until it has had so many turns. @returns the times of their beginnings, and what was logged */
async function turnsOf(count: number, everyMs: number, turn: (index: number) => Promise<void>) {
  const began: number[] = []
  const logged: { fields: unknown; message: string | undefined }[] = []
  const log: Logger = {
    ...silentLog,
    error: (fields: unknown, message?: string) => void logged.push({ fields, message }),
  }
  const end = new AbortController()
  const enough = Promise.withResolvers<void>()
  const worker: Worker = {
    name: 'test',
    everyMs,
    async run() {
      began.push(performance.now())
      if (began.length === count) enough.resolve()
      await turn(began.length - 1)
    },
  }
  const loop = runWorker(worker, { signal: end.signal, log })
  await enough.promise
  end.abort()
  await loop
  return { began, logged }
}

t.test('the first turn comes at once, and each next one after the pause', async t => {
  const before = performance.now()
  const { began } = await turnsOf(3, 1_200, async () => {})
  const [first = 0, second = 0, third = 0] = began
  t.ok(first - before < 1_000)
  t.ok(second - first >= 1_199 && third - second >= 1_199)
})

t.test('a turn that takes longer than the pause is not overtaken', async t => {
  let running = 0
  await turnsOf(3, 1, async () => {
    t.equal(++running, 1)
    await sleep(20)
    running--
  })
})

t.test('a turn that fails is told, and the next one comes all the same', async t => {
  const { began, logged } = await turnsOf(3, 1, async index => {
    if (index < 2) throw new Error(`turn ${index}`)
  })
  t.equal(began.length, 3)
  t.match(logged, [
    { fields: { worker: 'test', err: { message: 'turn 0' } }, message: 'background work failed' },
    { fields: { worker: 'test', err: { message: 'turn 1' } }, message: 'background work failed' },
  ])
})

t.test('the signal ends the pause at once, and what a turn throws then is no failure', async t => {
  const end = new AbortController()
  const logged: unknown[] = []
  const log: Logger = { ...silentLog, error: (...given: unknown[]) => void logged.push(given) }
  const running = Promise.withResolvers<void>()
  const worker: Worker = {
    name: 'test',
    everyMs: 3_600_000,
    async run(signal) {
      running.resolve()
      await sleep(3_600_000, undefined, { signal })
    },
  }
  const loop = runWorker(worker, { signal: end.signal, log })
  await running.promise
  end.abort()
  await loop
  t.same(logged, [])
  const pausing = new AbortController()
  const idle = runWorker({ name: 'idle', everyMs: 3_600_000, run: async () => {} }, { signal: pausing.signal, log })
  await sleep(10)
  pausing.abort()
  await idle
})

t.test('a pause of more than a timer can take is not over at once', async t => {
  let turns = 0
  const end = new AbortController()
  const worker: Worker = { name: 'test', everyMs: 1000 * 24 * 3_600_000, run: async () => void turns++ }
  const loop = runWorker(worker, { signal: end.signal, log: silentLog })
  await sleep(50)
  end.abort()
  await loop
  t.equal(turns, 1)
})
