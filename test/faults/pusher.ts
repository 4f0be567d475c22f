import { setTimeout as sleep } from 'node:timers/promises'
import { type Content, image, type Image, imageType, layerType, contentOf } from '../helpers/images.ts'
import type { Answer, Client, Sent } from './client.ts'
import { envelopeFault } from './envelope.ts'
import type { Random } from './random.ts'

/** Every kind of request that writes: a kill can be aimed at each. */
export const steps = [
  'begin an upload',
  'send the first part',
  'close the upload',
  'push a blob at once',
  'put a manifest',
  'move a tag',
  'put a tag beside',
  'delete a tag',
  'delete a manifest',
  'delete a blob',
  'cancel an upload',
] as const
export type Step = (typeof steps)[number]

/** What may be: there, gone, or either, because the answer to the last request never came. */
type State = 'there' | 'gone' | 'either'

interface Held {
  content: Content
  state: State
}

interface OpenUpload {
  location: string
  layer: Content
  /** Bytes that the server has acknowledged, and the most that can have reached it. */
  acknowledged: number
  sent: number
  /** The request that would have ended it was not answered. */
  ending: boolean
}

export interface Crash {
  /** Whether Postgres died without being asked: what it was not told to keep may be gone (uploads under way). */
  postgres: boolean
}

export interface PusherOptions {
  client: Client
  repository: string
  random: Random
  /** Content that all pushers push. */
  shared: Content
  /** Called in the middle of each request and right at its answer: a kill may be due. */
  moment: (step: Step, when: 'during' | 'after') => void
  /** Whether Postgres was killed since the last look: an upload under way may have lost its newest part, or all. */
  postgresDied: () => boolean
  /** The step that is wanted next, if any. */
  wanted: () => Step | undefined
  fault: (text: string) => void
}

export interface Pusher {
  /** Pushes, moves and deletes until `over`; stops in the middle when an answer does not come, and resolves. */
  run(over: () => boolean): Promise<void>
  /** Looks whether everything is as it must be, and goes on with the uploads that were under way. */
  verify(crash: Crash): Promise<void>
  readonly counts: Record<string, number>
}

/** The answer did not come, or says that it may or may not have been done. */
class Unanswered extends Error {}

const onUpload: ReadonlySet<Step> = new Set(['send the first part', 'close the upload', 'cancel an upload'])

/** An upload of up to so many bytes may be unknown, or set back, after a kill. */
const smallUpload = 256 * 1024

/** What is kept of each kind before it is deleted again. */
const keptTags = 5

/** One client with a repository of its own, which knows what must be in it. */
export function createPusher(options: PusherOptions): Pusher {
  const { client, repository, random, shared, moment, postgresDied, wanted, fault } = options
  const base = `/v2/${repository}`
  const blobs = new Map<string, Held>()
  const manifests = new Map<string, Held & { image: Image }>()
  /** What each tag may point to; undefined among them: it may not exist. */
  const tags = new Map<string, Set<string | undefined>>()
  let uploads: OpenUpload[] = []
  /** Locations of uploads whose end was acknowledged. */
  let cancelled: string[] = []
  const counts: Record<string, number> = {}
  let pushed = 0

  function count(what: string): void {
    counts[what] = (counts[what] ?? 0) + 1
  }

  function wrong(text: string): void {
    fault(`${repository}: ${text}`)
  }

  /** One writing request. @throws Unanswered */
  async function step(kind: Step, expected: number, method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const pause = sent.body === undefined || sent.body.length < 1000
    if (pause) setTimeout(() => moment(kind, 'during'), random.next() * 2)
    const answer = await client
      .send(method, path, pause ? sent : { ...sent, halfway: () => moment(kind, 'during') })
      .catch((error: unknown) => {
        throw new Unanswered('no answer', { cause: error })
      })
    if (answer.status === 503) {
      checkUnavailable(kind, answer)
      throw new Unanswered('503')
    }
    if (onUpload.has(kind) && postgresDied() && (answer.status === 404 || answer.status === 416)) {
      count('uploads that lost something in the middle')
      throw new Unanswered(String(answer.status))
    }
    if (answer.status !== expected) {
      wrong(`${kind}: ${answer.status} instead of ${expected}: ${answer.body.toString().slice(0, 300)}`)
      throw new Unanswered(String(answer.status))
    }
    count(kind)
    return answer
  }

  function checkUnavailable(what: string, { status, headers, body }: Answer): void {
    count('answered with 503')
    const trouble = envelopeFault(status, headers, body)
    if (trouble !== undefined) wrong(`${what}: a 503 whose answer is not as it should be: ${trouble}`)
    if (!/^\d+$/.test(headers['retry-after'] ?? '')) wrong(`${what}: a 503 without Retry-After`)
  }

  /** Says that something may have happened, lets it happen, and says that it has. */
  async function change(held: Held, to: 'there' | 'gone', work: () => Promise<unknown>): Promise<void> {
    const already = held.state === to
    if (!already) held.state = 'either'
    await work()
    held.state = to
  }

  async function uploadInParts(layer: Content): Promise<OpenUpload> {
    const begun = await step('begin an upload', 202, 'POST', `${base}/blobs/uploads/`)
    const upload = { location: begun.headers.location ?? '', layer, acknowledged: 0, sent: 0, ending: false }
    uploads.push(upload)
    moment('begin an upload', 'after')
    const half = Math.floor(layer.bytes.length / 2)
    upload.sent = half
    await step('send the first part', 202, 'PATCH', upload.location, { body: layer.bytes.subarray(0, half) })
    upload.acknowledged = half
    moment('send the first part', 'after')
    return upload
  }

  async function closeUpload(upload: OpenUpload): Promise<void> {
    const { layer, location, acknowledged } = upload
    upload.sent = layer.bytes.length
    upload.ending = true
    await change(blobOf(layer), 'there', () =>
      step('close the upload', 201, 'PUT', withQuery(location, `digest=${layer.digest}`), {
        headers: { 'content-range': `${acknowledged}-${layer.bytes.length - 1}` },
        body: layer.bytes.subarray(acknowledged),
      }),
    )
    uploads = uploads.filter(one => one !== upload)
    moment('close the upload', 'after')
  }

  async function pushAtOnce(content: Content): Promise<void> {
    await change(blobOf(content), 'there', () =>
      step('push a blob at once', 201, 'POST', `${base}/blobs/uploads/?digest=${content.digest}`, {
        body: content.bytes,
      }),
    )
    moment('push a blob at once', 'after')
  }

  async function putManifest(kind: Step, pushedImage: Image, tag: string): Promise<void> {
    const { manifest } = pushedImage
    const before = tags.get(tag) ?? new Set([undefined])
    tags.set(tag, new Set([...before, manifest.digest]))
    const held = manifests.get(manifest.digest) ?? { content: manifest, image: pushedImage, state: 'gone' as const }
    manifests.set(manifest.digest, held)
    await change(held, 'there', () =>
      step(kind, 201, 'PUT', `${base}/manifests/${tag}`, {
        headers: { 'content-type': imageType },
        body: manifest.bytes,
      }),
    )
    tags.set(tag, new Set([manifest.digest]))
    moment(kind, 'after')
  }

  async function pushImage(): Promise<void> {
    const large = random.next() < 0.3
    const size = large ? random.whole(3 * smallUpload, 4 * smallUpload) : random.whole(2_000, 200_000)
    const layer = contentOf(random.bytes(size), layerType)
    const made = image({ layers: [shared, layer], annotations: { pusher: repository } })
    await closeUpload(await uploadInParts(layer))
    if (blobs.get(shared.digest)?.state !== 'there') await pushAtOnce(shared)
    await pushAtOnce(made.config)
    await putManifest('put a manifest', made, `v${++pushed}`)
    await putManifest('move a tag', made, 'latest')
  }

  /** Tags and manifests that are known to be there. */
  function certainTags(): string[] {
    return [...tags].filter(([, targets]) => targets.size === 1 && !targets.has(undefined)).map(([tag]) => tag)
  }

  function certainManifests(): (Held & { image: Image })[] {
    return [...manifests.values()].filter(held => held.state === 'there')
  }

  async function deleteTag(tag: string): Promise<void> {
    tags.set(tag, new Set([...(tags.get(tag) ?? []), undefined]))
    await step('delete a tag', 202, 'DELETE', `${base}/manifests/${tag}`)
    tags.set(tag, new Set([undefined]))
    moment('delete a tag', 'after')
  }

  async function deleteManifest(held: Held & { image: Image }): Promise<void> {
    const { digest } = held.content
    for (const [tag, targets] of tags) if (targets.has(digest)) tags.set(tag, new Set([...targets, undefined]))
    await change(held, 'gone', () => step('delete a manifest', 202, 'DELETE', `${base}/manifests/${digest}`))
    for (const targets of tags.values()) if (targets.delete(digest)) targets.add(undefined)
    moment('delete a manifest', 'after')
  }

  async function deleteImage(): Promise<void> {
    const held = random.pick(certainManifests())
    await deleteManifest(held)
    const layer = blobOf(held.image.layers.at(-1) ?? shared)
    if (layer.content === shared) return
    await change(layer, 'gone', () => step('delete a blob', 202, 'DELETE', `${base}/blobs/${layer.content.digest}`))
    moment('delete a blob', 'after')
  }

  async function cancelUpload(): Promise<void> {
    const upload = await uploadInParts(contentOf(random.bytes(20_000), layerType))
    upload.ending = true
    await step('cancel an upload', 204, 'DELETE', upload.location)
    uploads = uploads.filter(one => one !== upload)
    cancelled.push(upload.location)
    moment('cancel an upload', 'after')
  }

  /** One of the things that clients do; the one that is waited for, if any is. */
  function nextDeed(): () => Promise<unknown> {
    const there = certainManifests()
    const step = wanted()
    if (there.length === 0) return pushImage
    if (step === 'cancel an upload') return cancelUpload
    if (step === 'delete a tag')
      return certainTags().length === 0 ? pushImage : () => deleteTag(random.pick(certainTags()))
    if (step === 'delete a manifest' || step === 'delete a blob' || certainTags().length > keptTags) return deleteImage
    if (step === 'put a tag beside') return putTagBeside
    if (step !== undefined) return pushImage
    return random.pick([pushImage, pushImage, pushImage, putTagBeside, deleteImage, cancelUpload])
  }

  const putTagBeside = () =>
    putManifest('put a tag beside', random.pick(certainManifests()).image, `beside${random.whole(1, 3)}`)

  function blobOf(content: Content): Held {
    const held = blobs.get(content.digest) ?? { content, state: 'gone' }
    blobs.set(content.digest, held)
    return held
  }

  /** A request that is sent again while the server is away, or says that it is; for ten seconds. */
  async function read(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const until = performance.now() + 10_000
    for (;;) {
      try {
        const answer = await client.send(method, path, sent)
        if (answer.status !== 503) return answer
        checkUnavailable(`${method} ${path}`, answer)
        if (performance.now() > until) return answer
      } catch (error) {
        if (performance.now() > until) throw error
      }
      await sleep(20)
    }
  }

  async function verifyContent(held: Held, path: string): Promise<void> {
    const { content, state } = held
    const answer = await read('GET', path)
    if (answer.status === 200) {
      if (!answer.body.equals(content.bytes)) wrong(`${path} has other bytes than were pushed`)
      if (state === 'gone') wrong(`${path} was deleted, and is back`)
      held.state = 'there'
    } else {
      if (answer.status !== 404) wrong(`GET ${path}: ${answer.status}`)
      if (state === 'there') wrong(`${path} was acknowledged, and is lost`)
      held.state = 'gone'
    }
  }

  async function verifyTags(): Promise<void> {
    const list = await read('GET', `${base}/tags/list`)
    if (list.status === 404 && tags.size === 0) return
    if (list.status !== 200 && certainTags().length > 0) wrong(`the list of tags: ${list.status}`)
    const names: string[] = list.status === 200 ? JSON.parse(list.body.toString()).tags : []
    for (const name of names) if (!tags.has(name)) wrong(`the tag ${name} was never put`)
    for (const [tag, targets] of tags) {
      const answer = await read('GET', `${base}/manifests/${tag}`)
      const digest = answer.status === 200 ? String(answer.headers['docker-content-digest']) : undefined
      if ((digest !== undefined) !== names.includes(tag))
        wrong(`${tag} is ${names.includes(tag) ? '' : 'not '}listed: ${answer.status}`)
      if (!targets.has(digest)) wrong(`${tag} points to ${digest}, and not to ${[...targets].join(' or ')}`)
      if (digest !== undefined && manifests.get(digest)?.state !== 'there')
        wrong(`${tag} points to ${digest}, which is not there`)
      tags.set(tag, new Set([digest]))
    }
  }

  /** An upload goes on where it is, or is gone: then what it would have brought is not there either, or all of it is. */
  async function resume(upload: OpenUpload, { postgres }: Crash): Promise<void> {
    const { layer, location, acknowledged, sent, ending } = upload
    const status = await read('GET', location)
    if (status.status === 404) {
      count('uploads gone')
      // A small one is written down a moment later (server/registry/own-uploads.ts).
      if (!postgres && !ending && acknowledged > smallUpload)
        wrong(`an upload with ${acknowledged} bytes is gone, though Postgres ended in order`)
      return
    }
    if (status.status !== 204)
      return wrong(`the status of an upload: ${status.status} ${status.body.toString().slice(0, 200)}`)
    const last = Number(/^0-(\d+)$/.exec(String(status.headers.range))?.[1])
    const offset = last === 0 ? 0 : last + 1
    if (!(offset <= sent)) wrong(`an upload says that it has ${offset} bytes, of ${sent}`)
    if (offset < acknowledged) {
      count('uploads set back')
      if (!postgres && acknowledged > smallUpload)
        wrong(`an upload has ${offset} bytes of ${acknowledged}, though Postgres ended in order`)
    }
    const held = blobOf(layer)
    const began = performance.now()
    const headers = { 'content-range': `${offset}-${layer.bytes.length - 1}` }
    const body = layer.bytes.subarray(offset)
    const close = () =>
      read('PUT', withQuery(location, `digest=${layer.digest}`), body.length === 0 ? {} : { headers, body })
    let answer = await close()
    // The request that the crash cut off may still hold it, where Berth itself went on.
    for (; answer.status === 409 && performance.now() - began < 20_000; answer = await close()) {
      await sleep(100)
    }
    if (answer.status === 201) {
      count('uploads gone on with')
      held.state = 'there'
    } else if (answer.status === 404 && ending) {
      count('uploads gone')
    } else {
      wrong(
        `an upload that stood at ${offset} could not go on: ${answer.status} ${answer.body.toString().slice(0, 300)}`,
      )
    }
    const waited = performance.now() - began
    if (waited > 1000) count('uploads that had to wait more than a second')
  }

  return {
    counts,
    async run(over) {
      try {
        while (!over()) await nextDeed()()
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error
        count('requests without an answer')
      }
    },
    async verify(crash) {
      const before = certainTagsOfUncertainManifests()
      for (const upload of uploads) await resume(upload, crash)
      uploads = []
      for (const location of cancelled) {
        const { status } = await read('GET', location)
        if (status !== 404) wrong(`a cancelled upload answers with ${status}`)
      }
      cancelled = cancelled.slice(-5)
      for (const held of recent(manifests)) await verifyContent(held, `${base}/manifests/${held.content.digest}`)
      for (const held of recent(blobs)) await verifyContent(held, `${base}/blobs/${held.content.digest}`)
      for (const held of certainManifests()) {
        const missing = held.image.blobs.filter(blob => blobs.get(blob.digest)?.state !== 'there')
        if (missing.length > 0) wrong(`${held.content.digest} has lost ${missing.length} of its blobs`)
      }
      await verifyTags()
      // A manifest goes with all its tags or with none.
      for (const [digest, names] of before) {
        const left = names.filter(name => tags.get(name)?.has(digest))
        const there = manifests.get(digest)?.state === 'there'
        if (left.length !== (there ? names.length : 0))
          wrong(`of the tags of ${digest} ${left.length} are left of ${names.length}`)
      }
    },
  }

  /** Of manifests whose deletion was not answered: the tags that it would have ended. */
  function certainTagsOfUncertainManifests(): Map<string, string[]> {
    const deleted = [...manifests.values()].filter(held => held.state === 'either').map(held => held.content.digest)
    return new Map(
      deleted.flatMap(digest => {
        const names = [...tags].filter(
          ([, targets]) => targets.size === 2 && targets.has(digest) && targets.has(undefined),
        )
        // A put that was not answered looks the same, but for one tag only, and that one new.
        return names.length < 2 ? [] : [[digest, names.map(([name]) => name)] as const]
      }),
    )
  }
}

/** All that may be there, and the last of what is gone. */
function recent<T extends Held>(all: Map<string, T>): T[] {
  const gone = [...all.values()].filter(held => held.state === 'gone')
  return [...[...all.values()].filter(held => held.state !== 'gone'), ...gone.slice(-5)]
}

/** The location may have a query of its own. */
function withQuery(location: string, query: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}${query}`
}
