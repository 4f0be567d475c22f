import { dirname } from 'node:path'
import type { Digest } from '../../server/oci/digest.ts'
import type { Call } from './trace.ts'

/** What the trace of a server tells of an answer 201: whether all that has to be on the disk was there before it. */

/** The calls that the checks need to see. */
export const tracedCalls =
  'openat,mkdir,mkdirat,rename,renameat,renameat2,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,recvfrom,fsync,fdatasync'

const hexOf = (digest: Digest) => digest.slice(digest.indexOf(':') + 1)
const isSync = ({ name }: Call) => name === 'fsync' || name === 'fdatasync'
const isWrite = ({ name }: Call) => name.includes('write')
/** The path of the descriptor that is the first argument; of a file that was renamed strace knows the name of then. */
const fileOf = ({ text }: Call) => /^\d+<([^>]*)>/.exec(text)?.[1] ?? ''
/** The paths among the arguments. */
const pathsOf = ({ text }: Call) => [...text.matchAll(/"([^"]*)"/g)].map(([, path]) => path ?? '')

/** @returns what was not waited for before a blob was acknowledged, a sentence for each; none when all is well */
export function blobFaults(calls: readonly Call[], { digest, size }: { digest: Digest; size: number }): string[] {
  const answer = answerFor(calls, digest)
  if (answer === undefined) return [`${digest}: there is no answer 201 to be seen`]
  const before = calls.filter(call => call.end < answer.begin && call.result >= 0)
  return [...fileFaults(before, digest, size), ...rowFaults(before, digest)].map(fault => `${digest}: ${fault}`)
}

/** The same for what is in the database alone: a manifest. */
export function manifestFaults(calls: readonly Call[], { digest }: { digest: Digest }): string[] {
  const answer = answerFor(calls, digest)
  if (answer === undefined) return [`${digest}: there is no answer 201 to be seen`]
  const before = calls.filter(call => call.end < answer.begin && call.result >= 0)
  return rowFaults(before, digest).map(fault => `${digest}: ${fault}`)
}

function answerFor(calls: readonly Call[], digest: Digest): Call | undefined {
  return calls.find(
    call =>
      (isWrite(call) || call.name.startsWith('send')) &&
      call.text.includes('HTTP/1.1 201') &&
      call.text.includes(hexOf(digest)),
  )
}

/** Written, synced, renamed, and the folder synced. */
function fileFaults(before: readonly Call[], digest: Digest, size: number): string[] {
  const renames = before.filter(
    call =>
      call.name.startsWith('rename') &&
      pathsOf(call)
        .at(-1)
        ?.endsWith(`/${hexOf(digest)}`),
  )
  const [rename] = renames
  const [from = '', to = ''] = rename === undefined ? [] : pathsOf(rename)
  if (rename === undefined) return ['the file had not got its name']

  const writes = before.filter(call => isWrite(call) && fileOf(call) === from)
  const written = writes.reduce((sum, { result }) => sum + result, 0)
  const lastWrite = Math.max(...writes.map(({ end }) => end))
  const syncs = before.filter(call => isSync(call) && fileOf(call) === from && call.begin > lastWrite)
  const folder = dirname(to)
  return [
    ...(written >= size ? [] : [`only ${written} bytes of ${size} were written`]),
    ...(syncs.some(({ end }) => end < rename.begin)
      ? []
      : ['the file was not synced between its last byte and its name']),
    ...(isSyncedAfter(before, folder, rename) ? [] : ['the folder was not synced after the name']),
    ...before
      .filter(call => call.name.startsWith('mkdir') && `${folder}/`.startsWith(`${pathsOf(call)[0]}/`))
      .filter(call => !isSyncedAfter(before, dirname(pathsOf(call)[0] ?? ''), call))
      .map(call => `the folder ${pathsOf(call)[0]} was made and its parent not synced`),
  ]
}

function isSyncedAfter(before: readonly Call[], path: string, { end }: Call): boolean {
  return before.some(call => isSync(call) && fileOf(call) === path && call.begin > end)
}

/**
 * A process of Postgres got a statement with the digest, and told that no transaction is open any more: in between,
 * the log with the digest in it, or what came after it, was written and then synced, by this process or another.
 */
function rowFaults(before: readonly Call[], digest: Digest): string[] {
  const hex = hexOf(digest)
  const log = before.filter(call => fileOf(call).includes('/pg_wal/'))
  const inLog = log.find(call => isWrite(call) && call.text.includes(hex))
  if (inLog === undefined) return ['the log of the database has nothing of it']
  const told = before.filter(call => call.name === 'recvfrom' && call.text.includes(hex))
  if (told.length === 0) return ['the database was not told of it']
  const synced = told.some(statement => {
    const done = before.find(call => call.pid === statement.pid && call.begin > statement.end && isReady(call))
    return (
      done !== undefined &&
      log.some(
        sync =>
          isSync(sync) &&
          sync.end < done.begin &&
          sync.begin > inLog.end &&
          log.some(
            write =>
              isWrite(write) && fileOf(write) === fileOf(sync) && write.begin > statement.end && write.end < sync.begin,
          ),
      )
    )
  })
  return synced ? [] : ['the log of the database was not written and synced for its statement']
}

/** ReadyForQuery, outside of a transaction (PostgreSQL's protocol, message `Z`). */
function isReady({ name, text }: Call): boolean {
  return name === 'sendto' && text.includes(String.raw`Z\0\0\0\5I"`)
}
