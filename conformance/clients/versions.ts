import { run } from '../process.ts'

/** What a program says its version is: the first group of the pattern. */
export async function versionOf(program: string, args: readonly string[], pattern: RegExp): Promise<string> {
  const { output } = await run(program, args, { seconds: 20 })
  const version = pattern.exec(output)?.[1]
  if (version === undefined) throw new Error(`${program} ${args.join(' ')} does not say ${pattern}: ${output}`)
  return version.replace(/^v/, '')
}
