import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

/**
 * What this process has open, as `/proc` names it: one entry per descriptor, so that two on one file are two entries.
 * Undefined where there is no `/proc`.
 */
export function openFiles(): string[] | undefined {
  try {
    return readdirSync('/proc/self/fd').flatMap(descriptor => {
      try {
        const target = readlinkSync(`/proc/self/fd/${descriptor}`)
        return [`${descriptor} ${target}`]
      } catch {
        // The one that the listing itself was read through.
        return []
      }
    })
  } catch {
    return undefined
  }
}

/** Of these, the files below a folder, deleted ones too; not folders, which the driver keeps open. */
export function openBelow(folder: string): string[] {
  return (openFiles() ?? []).filter(file => file.includes(` ${folder}`) && !isFolder(file.slice(file.indexOf('/'))))
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** Of these, the objects under digests below a folder of the filesystem driver, deleted ones too. */
export function openBlobs(folder: string): string[] {
  return openBelow(folder).filter(file => /\/[0-9a-f]{64}\b/.test(file))
}

/** Asks again until the answer is as wished, for five seconds or as long as said. @returns the last answer */
export async function until<T>(ask: () => T | Promise<T>, wished: (answer: T) => boolean, ms = 5_000): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const answer = await ask()
    if (wished(answer) || performance.now() > end) return answer
    await setTimeout(10)
  }
}
