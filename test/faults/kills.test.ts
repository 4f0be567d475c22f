import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { ask } from '../../conformance/http.ts'
import { type Program, startProgram } from '../helpers/processes.ts'
import { contentOf, layerType } from '../helpers/images.ts'
import { createClient } from './client.ts'
import { makeDataFolder } from './folders.ts'
import { createPusher, type Step, steps } from './pusher.ts'
import { createRandom, type Random, seedOf } from './random.ts'
import { childrenOf, kill, postmasterOf, treeOf } from './tree.ts'

/** Clients push, move and delete at once; processes are killed below them, and what was acknowledged has to be there. */

const killsInAll = 200
/** Where the machine is too slow for all of them, fewer have to do. */
const longestMs = 220_000
const fewest = 60

const targets = ['the server', 'the postmaster', 'the whole tree', 'a process of Postgres'] as const
type Target = (typeof targets)[number]

interface Aim {
  target: Target
  /** Undefined: at a random moment. */
  step: Step | undefined
  when: 'during' | 'after'
}

/** Every step with every target, in its middle and right after it; then at random. */
function aimsOf(random: Random): Aim[] {
  const aimed = steps.flatMap(step =>
    (['after', 'during'] as const).flatMap(when => targets.map(target => ({ target, step, when }))),
  )
  const others = Array.from({ length: killsInAll - aimed.length }, (_, index) => ({
    target: targets[index % targets.length] ?? 'the server',
    step: undefined,
    when: 'during' as const,
  }))
  return [...aimed, ...others]
    .map(aim => ({ aim, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ aim }) => aim)
}

interface Arena {
  aims: readonly Aim[]
  random: Random
  until: number
}

/** One server with its clients. @returns what was done */
async function fight(t: Test, { aims, random, until }: Arena) {
  const data = await makeDataFolder(t)
  let program = await startProgram(t, { data })
  const client = createClient(program.url)
  t.teardown(() => client.close())
  const faults: string[] = []
  const restarts: number[] = []
  const done = new Map<string, number>()
  let aim: Aim | undefined
  let killed = false

  function strike(): void {
    if (killed || aim === undefined) return
    killed = true
    killTarget(aim.target, program, random)
  }

  const shared = contentOf(random.bytes(50_000), layerType)
  const pushers = Array.from({ length: 4 }, (_, index) =>
    createPusher({
      client,
      repository: `kills/of-${index}`,
      random: createRandom(random.whole(0, 2 ** 31)),
      shared,
      moment(step, when) {
        if (aim?.step === step && aim.when === when) strike()
      },
      postgresDied: () => killed && aim?.target !== 'the server',
      wanted: () => aim?.step,
      fault: text => faults.push(`${text} (after the kill of ${aim?.target}, aimed at ${aim?.step})`),
    }),
  )

  for (aim of aims) {
    if (performance.now() > until || faults.length > 0) break
    killed = false
    const timer = setTimeout(strike, aim.step === undefined ? random.whole(1, 150) : 5_000)
    await Promise.all(pushers.map(pusher => pusher.run(() => killed)))
    clearTimeout(timer)
    if (aim.target === 'the server' || aim.target === 'the whole tree') {
      await program.exited
      program = await startProgram(t, { data, port: program.port })
      restarts.push(program.readyMs)
    } else {
      await surviving(program, untilReady(program))
    }
    const crash = { postgres: aim.target !== 'the server' }
    await surviving(program, Promise.all(pushers.map(pusher => pusher.verify(crash))))
    done.set(aim.target, (done.get(aim.target) ?? 0) + 1)
  }

  const counts: Record<string, number> = {}
  for (const pusher of pushers) {
    for (const [what, times] of Object.entries(pusher.counts)) counts[what] = (counts[what] ?? 0) + times
  }
  t.match(await program.stop(), { code: 0 }, 'in the end it stops in order')
  program = await startProgram(t, { data, port: program.port })
  await Promise.all(pushers.map(pusher => pusher.verify({ postgres: false })))
  const left = await readdir(join(data, 'uploads'))
  return { faults, restarts, done, counts, left: left.length }
}

function killTarget(target: Target, { pid }: Program, random: Random): void {
  const postmaster = postmasterOf(pid)
  const others = postmaster === undefined ? [] : childrenOf(postmaster)
  switch (target) {
    case 'the server':
      kill(pid)
      return
    case 'the whole tree':
      for (const id of treeOf(pid)) kill(id)
      return
    case 'the postmaster':
      if (postmaster !== undefined) kill(postmaster)
      return
    case 'a process of Postgres':
      if (others.length > 0) kill(random.pick(others))
      return
    default:
      target satisfies never
  }
}

/** Waits until Berth says that all is well again. */
async function untilReady({ url }: Program): Promise<void> {
  const until = performance.now() + 20_000
  for (;;) {
    const status = await ask(`${url}/readyz`).then(answer => answer.status, String)
    if (status === 200) return
    if (performance.now() > until) throw new Error(`/readyz still answers with ${status}`)
    await sleep(20)
  }
}

/** Does work that Berth must live through. */
async function surviving<T>(program: Program, work: Promise<T>): Promise<T> {
  const ended = program.exited.then(({ code, signal }): never => {
    const lines = `${program.stdout()}${program.stderr()}`.split('\n').filter(line => !line.includes('INFO: request'))
    throw new Error(`Berth ended with ${code ?? signal}:\n${lines.slice(-20).join('\n')}`)
  })
  return Promise.race([work, ended])
}

t.setTimeout(longestMs * 2)

t.test('what was acknowledged outlives every kill', async t => {
  const random = createRandom(seedOf(t))
  const aims = aimsOf(random)
  const until = performance.now() + longestMs
  const arenas = [0, 1].map(half => ({
    aims: aims.filter((_, index) => index % 2 === half),
    random: createRandom(random.whole(0, 2 ** 31)),
    until,
  }))
  const results = await Promise.all(arenas.map(arena => fight(t, arena)))

  t.strictSame(
    results.flatMap(result => result.faults),
    [],
  )
  let kills = 0
  for (const { done, restarts, counts, left } of results) {
    kills += [...done.values()].reduce((sum, times) => sum + times, 0)
    t.comment(`kills: ${JSON.stringify(Object.fromEntries(done))}`)
    t.comment(`requests: ${JSON.stringify(counts)}`)
    if (restarts.length > 0)
      t.comment(`ready again after ${Math.round(Math.min(...restarts))} to ${Math.round(Math.max(...restarts))} ms`)
    t.comment(`${left} files of uploads that no one can go on with`)
  }
  t.comment(`${kills} kills of ${killsInAll}`)
  t.ok(kills >= fewest, `at least ${fewest} kills`)
})
