import type { Test } from 'tap'
import { findProgram } from '../../conformance/programs.ts'

/**
 * The path of a program that a test needs, or undefined where it is not installed: the test is then skipped with a
 * line that names it, and has to return. In continuous integration it fails instead.
 *
 *     const skopeo = needs(t, 'skopeo')
 *     if (skopeo === undefined) return
 */
export function needs(t: Test, program: string): string | undefined {
  const found = findProgram(program)
  if (found === undefined) leaveOut(t, `${program}, which is not installed; npm test installs it as root on Debian`)
  return found
}

/** Whether the test runs as root; if not it is skipped likewise, and has to return. */
export function needsRoot(t: Test): boolean {
  const root = process.getuid?.() === 0
  if (!root) leaveOut(t, 'root')
  return root
}

function leaveOut(t: Test, what: string): void {
  if (process.env['CI'] === 'true') t.fail(`needs ${what}`)
  else t.pass(`needs ${what}`, { skip: true })
}
