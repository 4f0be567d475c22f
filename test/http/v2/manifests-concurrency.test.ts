import { randomInt } from 'node:crypto'
import t from 'tap'
import { type Content, type Image, image, index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { pushBlob, putManifest } from './requests.ts'

/** How long everyone pushes, moves, deletes and reads at once. */
const milliseconds = 10_000
const repository = 'busy'
const tags = ['a', 'b', 'c']

const { url } = await startRegistry(t)
const images: Image[] = Array.from({ length: 4 }, () => image())
const list = index(images.slice(0, 2).map(({ manifest }) => manifest))
const manifests: Content[] = [...images.map(({ manifest }) => manifest), list]

/** What came of a request, and when: whatever it did, it did between `start` and `end`. */
interface Event {
  kind: 'set' | 'end' | 'end manifest' | 'read'
  tag: string
  /** Set, or read; undefined for a tag that is not there. */
  digest: string | undefined
  start: number
  end: number
}

const events: Event[] = []
const statuses = new Map<string, number>()
const failures: string[] = []

/** Sends a request, counts what came of it, and notes the time that it took. */
async function send(what: string, request: () => Promise<Response>) {
  const start = performance.now()
  const response = await request()
  const bytes = Buffer.from(await response.arrayBuffer())
  const end = performance.now()
  statuses.set(`${what} ${response.status}`, (statuses.get(`${what} ${response.status}`) ?? 0) + 1)
  if (response.status >= 500) failures.push(`${what}: ${response.status} ${bytes.toString().slice(0, 300)}`)
  return { status: response.status, headers: response.headers, bytes, start, end }
}

function pick<Item>(items: readonly Item[]): Item {
  const item = items[randomInt(items.length)]
  if (item === undefined) throw new Error('nothing to pick from')
  return item
}

const at = (reference: string) => `${url}/v2/${repository}/manifests/${reference}`

async function setTag(tag: string, manifest: Content): Promise<void> {
  const { status, start, end } = await send('set', () => putManifest(url, repository, tag, manifest))
  if (status === 201) events.push({ kind: 'set', tag, digest: manifest.digest, start, end })
}

async function setAllTags(manifest: Content): Promise<void> {
  const reference = `${manifest.digest}?${tags.map(tag => `tag=${tag}`).join('&')}`
  const { status, start, end } = await send('set all', () => putManifest(url, repository, reference, manifest))
  if (status === 201) for (const tag of tags) events.push({ kind: 'set', tag, digest: manifest.digest, start, end })
}

async function endTag(tag: string): Promise<void> {
  const { status, start, end } = await send('end', () => fetch(at(tag), { method: 'DELETE' }))
  if (status === 202) events.push({ kind: 'end', tag, digest: undefined, start, end })
}

async function endManifest({ digest }: Content): Promise<void> {
  const { status, start, end } = await send('end manifest', () => fetch(at(digest), { method: 'DELETE' }))
  if (status === 202) for (const tag of tags) events.push({ kind: 'end manifest', tag, digest, start, end })
}

async function read(tag: string): Promise<string | undefined> {
  const { status, headers, bytes, start, end } = await send('read', () => fetch(at(tag)))
  const digest = status === 200 ? (headers.get('docker-content-digest') ?? '') : undefined
  const expected = manifests.find(manifest => manifest.digest === digest)
  if (status === 200 && expected?.bytes.equals(bytes) !== true) failures.push(`read ${tag}: other bytes than pushed`)
  events.push({ kind: 'read', tag, digest, start, end })
  return digest
}

async function listTags(): Promise<void> {
  await send('tags', () => fetch(`${url}/v2/${repository}/tags/list`))
}

/**
 * Whether the state of a tag that a read saw can have been the newest at any moment of the read: something must have
 * brought it about, which was not certainly over before the read began.
 */
function isPlausible(seen: Event, writes: readonly Event[]): boolean {
  const brings = (write: Event) =>
    seen.digest === undefined ? write.kind !== 'set' : write.kind === 'set' && write.digest === seen.digest
  const ends = (write: Event) =>
    seen.digest === undefined
      ? write.kind === 'set'
      : write.kind === 'end' ||
        (write.kind === 'end manifest' ? write.digest === seen.digest : write.digest !== seen.digest)
  const origins = writes.filter(write => brings(write) && write.start < seen.end)
  return origins.some(
    origin => !writes.some(write => ends(write) && write.start > origin.end && write.end < seen.start),
  )
}

t.test('pushes, moves, deletions and reads of few names at once', async t => {
  for (const blob of images.flatMap(({ blobs }) => blobs)) await pushBlob(url, repository, blob)
  // Before anything is set, nothing is there.
  for (const tag of tags) events.push({ kind: 'end', tag, digest: undefined, start: -2, end: -1 })

  const deadline = performance.now() + milliseconds
  const acts: (() => Promise<unknown>)[] = [
    () => setTag(pick(tags), pick(manifests)),
    () => setTag(pick(tags), pick(manifests)),
    () => setAllTags(pick(manifests)),
    () => endTag(pick(tags)),
    () => endManifest(pick(manifests)),
    () => read(pick(tags)),
    () => read(pick(tags)),
    () => read(pick(tags)),
    listTags,
  ]
  const crowd = Array.from({ length: 12 }, async () => {
    while (performance.now() < deadline) await pick(acts)()
  })

  // Beside the crowd, some with names of their own: each sees at once what it was told to be done.
  const loners = Array.from({ length: 4 }, async (_, at_) => {
    const manifest = index([], { annotations: { loner: `${at_}` } })
    const tag = `loner-${at_}`
    const reads = async (status: number, what: string) => {
      for (const reference of what === 'tag' ? [tag] : [tag, manifest.digest]) {
        const answer = await send('own read', () => fetch(at(reference)))
        if (answer.status !== status) failures.push(`own ${what} ${reference}: ${answer.status} instead of ${status}`)
        if (status === 200 && !answer.bytes.equals(manifest.bytes)) failures.push(`own ${what}: other bytes`)
      }
    }
    while (performance.now() < deadline) {
      await send('own push', () => putManifest(url, repository, tag, manifest))
      await reads(200, 'manifest')
      await send('own end', () => fetch(at(tag), { method: 'DELETE' }))
      await reads(404, 'tag')
      await send('own push', () => putManifest(url, repository, tag, manifest))
      await send('own end', () => fetch(at(manifest.digest), { method: 'DELETE' }))
      await reads(404, 'manifest')
    }
  })
  await Promise.all([...crowd, ...loners])
  t.same(failures, [], 'no 5xx, no state that is not to be read back')

  await t.test('each did happen', async t => {
    const expected = ['set 201', 'set all 201', 'end 202', 'end manifest 202', 'read 200', 'read 404', 'own end 202']
    for (const what of expected) t.ok((statuses.get(what) ?? 0) > 5, what)
    const allowed =
      /^(?:set(?: all)? (?:201|400)|end(?: manifest)? (?:202|404)|(?:own )?read (?:200|404)|tags 200|own push 201|own end 202)$/
    t.same(
      [...statuses.keys()].filter(what => !allowed.test(what)),
      [],
    )
  })

  await t.test('what was read last is what was done last', async t => {
    const final = await Promise.all(tags.map(tag => read(tag)))
    const response = await fetch(`${url}/v2/${repository}/tags/list`)
    const body: unknown = await response.json()
    t.match(body, { tags: tags.filter((_, at_) => final[at_] !== undefined) })
  })

  await t.test('each read of a tag saw a state that was the newest at some moment of it', async t => {
    const wrong = tags.flatMap(tag => {
      const own = events.filter(event => event.tag === tag)
      const writes = own.filter(({ kind }) => kind !== 'read')
      return own.filter(event => event.kind === 'read' && !isPlausible(event, writes))
    })
    t.same(wrong, [])
  })
})
