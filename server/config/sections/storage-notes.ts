import { at, isTree, textAt, type Tree } from '../tree.ts'
import { kindOf } from './storage-azure.ts'

/** Parameters of storage drivers that are accepted and do nothing. */

interface Note {
  text: string
  /** Whether the parameter does nothing in this section; it never does when left out. */
  where?: (section: Tree) => boolean
}

const noCopies: Note = { text: 'has no effect: blobs are written where they stay, and never copied' }
const withoutEncryption: Note = {
  text: 'has no effect without encrypt: true',
  where: section => section['encrypt'] !== true,
}

const ownRetries: Note = { text: 'has no effect: what may pass is tried again for half a minute' }

const s3: Readonly<Record<string, Note>> = {
  keyid: withoutEncryption,
  v4auth: { text: 'has no effect: requests are always signed by version 4' },
  multipartcopychunksize: noCopies,
  multipartcopymaxconcurrency: noCopies,
  multipartcopythresholdsize: noCopies,
  loglevel: { text: 'has no effect: log.level is that of all Berth' },
}

const notes: Readonly<Record<string, Readonly<Record<string, Note>>>> = {
  filesystem: { maxthreads: { text: 'has no effect: Node shares out its threads itself (UV_THREADPOOL_SIZE)' } },
  s3,
  s3aws: s3,
  s3goamz: s3,
  swift: { accesskey: { text: 'has no effect: it belonged to the temporary URLs of the HP Cloud, which has closed' } },
  rados: { keyid: withoutEncryption },
  azure: {
    accountkey: {
      text: 'has no effect: other credentials are to be used',
      where: section => kindOfAzure(section) !== 'shared_key',
    },
    sastoken: {
      text: 'has no effect: other credentials are to be used',
      where: section => kindOfAzure(section) !== 'sas_token',
    },
    max_retries: ownRetries,
    retry_delay: ownRetries,
    connectionstring: { text: 'has no effect, as in registry:3: accountname and accountkey say the same' },
    copy_status_poll_max_retry: noCopies,
    copy_status_poll_delay: noCopies,
  },
  gcs: { maxconcurrency: { text: 'has no effect: parallel bounds the parts of each upload' } },
}

function kindOfAzure(section: Tree): string {
  return textAt(section, 'credentials.type')?.toLowerCase() ?? kindOf(section)
}

/** One sentence for each parameter of a shaped tree's driver that is accepted and does nothing. */
export function notesOnDrivers(tree: unknown): string[] {
  return Object.entries(notes).flatMap(([driver, parameters]) => {
    const section = at(tree, `storage.${driver}`)
    if (!isTree(section)) return []
    return Object.entries(parameters)
      .filter(([key, { where }]) => section[key] !== undefined && (where?.(section) ?? true))
      .map(([key, { text }]) => `storage.${driver}.${key} ${text}`)
  })
}
