/** System calls of many processes, as `strace -f -y` writes them down, in the order in which they began and ended. */

export interface Call {
  pid: number
  name: string
  /** The arguments, with the paths of descriptors behind them: `5</data/file>, "...", 4`. */
  text: string
  /** What came back; less than 0 when it failed, NaN when it did not come back. */
  result: number
  /** Where it began and where it ended among all that the trace tells; infinite when it did not end. */
  begin: number
  end: number
}

/** A line: the process, and what it did. A call that others came in between of has two. */
const lineShape = /^(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)$/s
const unfinished = ' <unfinished ...>'

/**
 * Reads a trace. A process stands still while strace notes down that a call begins, and again when it has ended: so what
 * one call had to wait for has its end above the beginning of the other, whichever processes the two belong to.
 */
export function parseTrace(text: string): Call[] {
  const calls: Call[] = []
  const open = new Map<number, Call>()
  for (const [at, line] of text.split('\n').entries()) {
    const [, pid = '', resumed, started, rest = ''] = lineShape.exec(line) ?? []
    if (pid === '') continue
    const begun = resumed === undefined ? undefined : open.get(Number(pid))
    const call = begun ?? newCall(Number(pid), resumed ?? started ?? '', at)
    if (begun === undefined) calls.push(call)
    open.delete(call.pid)
    if (rest.endsWith(unfinished)) {
      call.text = rest.slice(0, -unfinished.length)
      open.set(call.pid, call)
    } else {
      call.text += rest
      call.result = resultOf(rest)
      call.end = at
    }
  }
  return calls
}

function newCall(pid: number, name: string, begin: number): Call {
  return { pid, name, text: '', result: Number.NaN, begin, end: Number.POSITIVE_INFINITY }
}

/** `) = 7</the/path>`, `) = -1 ENOENT (No such file or directory)`, `) = ?`. Data that looks like it stands before it. */
function resultOf(rest: string): number {
  return Number([...rest.matchAll(/\) += (-?\d+)/g)].at(-1)?.[1] ?? Number.NaN)
}
