export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** The last line that each of the checks prints, and that the one above reads: `N passed, N failed[, N skipped]`. */
export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`
}

/** The counts in the last such line of a text, or undefined where none is. */
export function readSummary(text: string): Counts | undefined {
  const last = [...text.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1)
  if (last === undefined) return undefined
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) }
}

/** What a process that counted so exits with: in continuous integration nothing may be left out. */
export function exitCodeOf({ failed, skipped }: Counts): number {
  return failed > 0 || (skipped > 0 && process.env['CI'] === 'true') ? 1 : 0
}
