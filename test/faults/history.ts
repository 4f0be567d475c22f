/**
 * What may be read of something that several write at once. A request takes effect at some moment between its start and
 * its answer, so what is certain is only what came wholly before something else.
 */
export interface History {
  /** Begins a change to `value`; with `from`, a change of that value only (what deletes a manifest ends its tags). */
  begin(value: string | undefined, options?: { from?: string }): Change
  /**
   * The values that a read between two moments may give; undefined among them: that there is nothing.
   * @param to now, or earlier
   */
  possible(began: number, to: number): Set<string | undefined>
}

export interface Change {
  /** The answer is there: it has taken effect. */
  done(): void
  /** The answer is there: nothing was changed. */
  undone(): void
}

interface Operation {
  began: number
  /** Infinity until the answer is there. */
  ended: number
  value: string | undefined
  from: string | undefined
  /** Whether there was such a value to change, as far as it is known; it stays known when that one is forgotten. */
  effective: boolean
}

/** A look back is worth its while after so many changes. */
const pruneAfter = 64

/** @param oldest the start of the oldest request that is still under way, of any kind */
export function createHistory(oldest: () => number): History {
  let operations: Operation[] = [
    { began: -Infinity, ended: -Infinity, value: undefined, from: undefined, effective: true },
  ]

  /** Whether something came wholly after it, and wholly before that moment, which left nothing of it. */
  function isOver(one: Operation, moment: number): boolean {
    return operations.some(
      later =>
        later.began > one.ended && later.ended < moment && (later.from === undefined || later.from === one.value),
    )
  }

  function noteEffects(): void {
    for (const one of operations) {
      one.effective ||= operations.some(({ value, began }) => value === one.from && began < one.ended)
    }
  }

  return {
    begin(value, { from } = {}) {
      if (operations.length > pruneAfter) {
        const moment = oldest()
        noteEffects()
        operations = operations.filter(one => !isOver(one, moment))
      }
      const operation = { began: performance.now(), ended: Infinity, value, from, effective: from === undefined }
      operations.push(operation)
      return {
        done: () => void (operation.ended = performance.now()),
        undone: () => void (operations = operations.filter(one => one !== operation)),
      }
    },

    possible(began, to) {
      noteEffects()
      const candidates = operations.filter(one => one.began < to && one.effective && !isOver(one, began))
      return new Set(candidates.map(({ value }) => value))
    },
  }
}
