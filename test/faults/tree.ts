import { readdirSync, readFileSync, statSync } from 'node:fs'

/** A process and all that it started, as `/proc` shows them. */

interface Entry {
  pid: number
  parent: number
  name: string
}

/** All processes but those that have ended and wait for their parent to notice. proc(5) */
function processes(): Entry[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      const [, command, state, parent] = /^\d+ \((.*)\) (.) (\d+)/s.exec(read(`/proc/${name}/stat`)) ?? []
      if (command === undefined || state === 'Z' || state === 'X') return []
      return [{ pid: Number(name), parent: Number(parent), name: command }]
    })
}

/** The ids of a process and of its descendants; the process comes first. */
export function treeOf(pid: number): number[] {
  const all = processes()
  const found = new Set([pid])
  for (let grew = true; grew;) {
    grew = false
    for (const entry of all) {
      if (found.has(entry.parent) && !found.has(entry.pid)) {
        found.add(entry.pid)
        grew = true
      }
    }
  }
  return [...found].filter(id => all.some(entry => entry.pid === id))
}

/** The postmaster that a Berth started, if there is one. */
export function postmasterOf(pid: number): number | undefined {
  return processes().find(entry => entry.parent === pid && entry.name === 'postgres')?.pid
}

/** The children of a process. */
export function childrenOf(pid: number): number[] {
  return processes()
    .filter(entry => entry.parent === pid)
    .map(entry => entry.pid)
}

/** @returns false when there is no such process any more */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

export interface Memory {
  /** What the processes take up together: shared pages are counted once. Bytes. */
  pss: number
  /** The sum of what each shows: shared pages are counted for each. Bytes. */
  rss: number
}

/** The memory of a process and its descendants. */
export function memoryOf(pid: number): Memory {
  const rollups = treeOf(pid).map(id => read(`/proc/${id}/smaps_rollup`))
  const sum = (field: string) =>
    rollups.reduce(
      (total, text) => total + Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024,
      0,
    )
  return { pss: sum('Pss'), rss: sum('Rss') }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** How many files, sockets and pipes a process has open; not folders, of which the filesystem driver keeps some open. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter(fd => !isFolder(`/proc/${pid}/fd/${fd}`)).length
}

/** Bytes as people write them. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

/** A process may end between one look and the next. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
