/**
 * The generator: a process of its own, so that what it costs is known. It does what it is told by messages, one thing
 * at a time. A second one of it is the probe: its latencies must not depend on how busy the first is.
 */
import { findLoad } from '../loads/index.ts'
import { pushFirstEntry } from '../loads/pages.ts'
import type { Prepared } from '../loads/load.ts'
import type { Order, Report } from './messages.ts'
import { type Probe, startProbe } from './probe.ts'
import { verify } from './verify.ts'

/** What was made once on a server, for the turns that follow: by server and load. */
const made = new Map<string, Promise<unknown>>()
let prepared: Prepared | undefined
let probe: Probe | undefined

async function prepare({
  load: name,
  target,
  extent,
  number,
  server,
  scratch,
}: Order & { kind: 'prepare' }): Promise<Report> {
  const once = <Made>(make: () => Promise<Made>): Promise<Made> => {
    const key = `${server} ${name}`
    const known = made.get(key) ?? make()
    made.set(key, known)
    // A load asks for one thing only, so what stands under its name is what it made.
    return known as Promise<Made>
  }
  prepared = await findLoad(name).prepare({ target, extent, number, scratch, once })
  return { kind: prepared === undefined ? 'unsupported' : 'ready' }
}

async function go(): Promise<Report> {
  if (prepared === undefined) throw new Error('nothing was prepared')
  const work = await prepared.run()
  await prepared.close()
  prepared = undefined
  return { kind: 'done', work }
}

async function follow(order: Order): Promise<Report> {
  switch (order.kind) {
    case 'prepare':
      return prepare(order)
    case 'open':
      await prepared?.open?.()
      return { kind: 'ready' }
    case 'go':
      return go()
    case 'verify':
      await verify(order.target)
      return { kind: 'ready' }
    case 'first entry':
      await pushFirstEntry(order.target)
      return { kind: 'ready' }
    case 'probe':
      probe = await startProbe(order.target)
      return { kind: 'ready' }
    case 'end': {
      if (probe === undefined) throw new Error('no probe is under way')
      return { kind: 'probed', ...(await probe.end()) }
    }
    default:
      return order satisfies never
  }
}

process.on('message', (order: Order) => {
  follow(order).then(
    report => process.send?.(report),
    (error: unknown) =>
      process.send?.({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit())
