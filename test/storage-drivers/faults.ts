import t, { type Test } from 'tap'
import { createRandom, seedOf } from '../faults/random.ts'
import { addAborts } from './faults/aborts.ts'
import type { AddTest, BackEnd } from './faults/back-end.ts'
import { beginOnCut, beginOnFrozen } from './faults/in-vain.ts'
import { addReads } from './faults/reads.ts'
import { addCrash, addUploads } from './faults/uploads.ts'

/**
 * What a driver of an object store makes of a network that breaks off, stalls and is slow, and of a server that refuses,
 * crashes and comes back: right bytes or an error, in bounded time and memory, and nothing left open.
 * @param setUp prepares a network, and a place on the real back end, which are gone with the test that it is given
 */
export function testFaults(name: string, setUp: (t: Test) => Promise<BackEnd>): void {
  const random = createRandom(seedOf(t))
  const addTo =
    (parent: Test): AddTest =>
    (title, check) => {
      void parent.test(`${name}: ${title}`, async t => {
        const backEnd = await setUp(t)
        await using driver = await backEnd.open()
        await check(t, { ...backEnd, driver, random })
      })
    }

  addAborts(addTo(t))
  // What has to wait for the end of the driver's patience does so beside all the others.
  void t.test(`${name}: while others wait for what can't succeed any more`, async t => {
    const waiting = await Promise.all([beginOnFrozen(await setUp(t)), beginOnCut(await setUp(t))])
    addUploads(addTo(t))
    addReads(addTo(t))
    addCrash(addTo(t))
    await t.test(`${name}: those give up in bounded time`, async t => {
      for (const work of waiting) {
        const { wrong, times } = await work.ends()
        t.comment(times.join(', '))
        t.same(wrong, [])
      }
    })
  })
}
