import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Watch {
  /** Processes of this run that are still there after so many milliseconds (5000), in which they may end; kills them. */
  leftovers(graceMs?: number): Promise<string[]>
}

interface Process {
  pid: number
  parent: number
  session: number
  /** When it started, in ticks since boot; with the pid it names one process for good. */
  started: string
}

const intervalMs = 200

/**
 * Watches what this process starts, directly or not, from now on: descendants as they come, whatever else is in a
 * session of theirs, and every process that has the marker in its environment. The three are needed: a daemon leaves
 * its parent, Postgres its environment. Undefined where there is no /proc.
 */
export function watchProcesses(variable: string, value: string): Watch | undefined {
  if (!existsSync('/proc/self/stat')) return undefined
  const known = new Map<number, string>()
  const sessions = new Set<number>()
  const isKnown = ({ pid, started }: Process) => known.get(pid) === started
  const look = () => {
    const all = processes()
    const self = all.find(one => one.pid === process.pid)
    for (let grew = true; grew;) {
      grew = false
      const here = new Set(all.filter(isKnown).map(one => one.pid))
      for (const one of all) {
        if (isKnown(one) || one.pid === process.pid) continue
        if (one.parent !== process.pid && !here.has(one.parent) && !sessions.has(one.session)) continue
        known.set(one.pid, one.started)
        if (one.session !== self?.session) sessions.add(one.session)
        grew = true
      }
    }
    return all
  }
  const timer = setInterval(look, intervalMs)
  timer.unref()
  const remaining = () =>
    look().filter(
      one => one.pid !== process.pid && (isKnown(one) || environmentOf(one.pid).includes(`${variable}=${value}`)),
    )
  return {
    async leftovers(graceMs = 5000) {
      clearInterval(timer)
      const limit = Date.now() + graceMs
      while (remaining().length > 0 && Date.now() < limit) await sleep(100)
      return remaining().map(({ pid }) => {
        const name = `${pid} ${commandOf(pid)}`
        kill(pid)
        return name
      })
    },
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}

/** All processes but those that have ended and wait for their parent to notice. */
function processes(): Process[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      // pid (name) state ppid pgrp session ...; the name may hold anything. proc(5)
      const stat = read(`/proc/${name}/stat`)
      const [state, parent, , session, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      if (stat === '' || state === 'Z' || state === 'X') return []
      return [{ pid: Number(name), parent: Number(parent), session: Number(session), started: rest[15] ?? '' }]
    })
}

function environmentOf(pid: number): string[] {
  return read(`/proc/${pid}/environ`).split('\0')
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim().slice(0, 200)
}

/** A process may end, or be another user's, between one look and the next. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
