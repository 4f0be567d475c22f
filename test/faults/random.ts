import { randomInt } from 'node:crypto'
import type { Test } from 'tap'

/** Numbers that look random and come again with the same seed. */
export interface Random {
  /** From 0 to below 1. */
  next(): number
  /** A whole number, both bounds inclusive. */
  whole(least: number, most: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  bytes(length: number): Buffer
}

/** The seed of this run: BERTH_TEST_SEED, or a new one. It is printed, so that a run can be had again. */
export function seedOf(t: Test): number {
  const seed = Number(process.env['BERTH_TEST_SEED'] ?? randomInt(2 ** 31))
  t.comment(`BERTH_TEST_SEED=${seed}`)
  return seed
}

/** The generator mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed | 0
  const word = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  const next = () => word() / 2 ** 32
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    next,
    whole,
    chance: probability => next() < probability,
    pick(items) {
      const item = items[whole(0, items.length - 1)]
      if (item === undefined) throw new Error('nothing to choose from')
      return item
    },
    bytes(length) {
      const words = new Uint32Array(Math.ceil(length / 4))
      for (let at = 0; at < words.length; at++) words[at] = word()
      return Buffer.from(words.buffer, 0, length)
    },
  }
}
