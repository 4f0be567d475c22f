/** The value in the middle; of an even number of values the mean of the two. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The value that `share` (0 to 1) of all values do not exceed: nearest rank. NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** The median of the ratios round by round, of the rounds that both have. Undefined where there are none. */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): number | undefined {
  const ratios = ours.flatMap((value, round) => {
    const other = theirs[round]
    return other === undefined || !(other > 0) || Number.isNaN(value) ? [] : [value / other]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}
