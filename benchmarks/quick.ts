import { type Counts, exitCodeOf, summaryLine } from '../conformance/summary.ts'
import { goals, judge, passesQuickly } from './goals.ts'
import { boundOf, type RunResult } from './report.ts'

/**
 * What continuous integration hears: which floors the short form saw held, and the counts in the last line.
 * @returns what the process exits with
 */
export function judgeQuickly({ results }: Pick<RunResult, 'results'>, print: (line: string) => void): number {
  const verdicts = goals.flatMap(goal => judge(goal, results) ?? [])
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 }
  if (verdicts.length === 0) {
    print('no peer could be measured: install docker-registry, or Go for distribution 3')
    counts.failed++
  }
  print('short form: blobs of 128 MiB in place of 1 GiB; a ratio fails where it is far below its floor')
  for (const verdict of verdicts) {
    const { goal, value, peer } = verdict
    const passed = passesQuickly(verdict)
    counts[passed ? 'passed' : 'failed']++
    const words = `${goal.title}${peer === undefined ? '' : `, to ${peer}`}: ${boundOf(goal, value)}`
    print(`${passed ? 'ok  ' : 'FAIL'} ${words} (floor ${boundOf(goal, goal.floor)}, goal ${boundOf(goal, goal.goal)})`)
  }
  print(summaryLine(counts))
  return exitCodeOf(counts)
}
