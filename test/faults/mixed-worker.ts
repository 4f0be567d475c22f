import { type Content, contentOf, image, type Image, index, layerType } from '../helpers/images.ts'
import type { Answer, Client } from './client.ts'
import { codeIn } from './envelope.ts'
import { createHistory, type History } from './history.ts'
import type { Random } from './random.ts'

/** A few names on which many clients work at once, and what must be true of them all the while. */

export interface Mixed {
  /** One request, or a few, that change something. */
  change(random: Random): Promise<void>
  /** One pull, or one look at a list. */
  read(random: Random): Promise<void>
  /** Pushes the first images. */
  prepare(random: Random): Promise<void>
  readonly faults: string[]
  readonly counts: Record<string, number>
}

/** A manifest that was pushed at some time: an image, or an index with images. */
interface Known {
  content: Content
  image: Image | undefined
  children: Known[]
}

const repositories = ['mixed/one', 'mixed/two']
const tagNames = ['a', 'b', 'c', 'd', 'e']
/** Images of a repository that are pushed again and again; now and then one is replaced. */
const poolSize = 8

interface Repository {
  base: string
  pool: Known[]
  known: Map<string, Known>
  tags: Map<string, History>
  manifests: Map<string, History>
}

function remember({ known }: Repository, one: Known): Known {
  known.set(one.content.digest, one)
  return one
}

export function createMixed(client: Client): Mixed {
  const faults: string[] = []
  const counts: Record<string, number> = {}
  const underWay = new Set<{ began: number }>()
  const oldest = () => Math.min(performance.now(), ...[...underWay].map(one => one.began))
  const all = repositories.map((name): Repository => ({
    base: `/v2/${name}`,
    pool: [],
    known: new Map(),
    tags: new Map(tagNames.map(tag => [tag, createHistory(oldest)])),
    manifests: new Map(),
  }))

  function wrong(text: string): void {
    if (faults.length < 50) faults.push(text)
  }

  function historyOf(histories: Map<string, History>, key: string): History {
    const found = histories.get(key) ?? createHistory(oldest)
    histories.set(key, found)
    return found
  }

  interface Timed {
    answer: Answer
    began: number
    ended: number
  }

  /** A request with the moments before and after it, which nobody's history forgets while `work` looks at it. */
  async function timed<T>(
    method: string,
    path: string,
    { type, body }: { type?: string; body?: Buffer },
    work: (timed: Timed) => T | Promise<T>,
  ): Promise<T> {
    const entry = { began: performance.now() }
    underWay.add(entry)
    try {
      const headers = type === undefined ? {} : { 'content-type': type }
      const answer = await client.send(method, path, { headers, ...(body === undefined ? {} : { body }) })
      count(`${method} ${answer.status}`)
      if (answer.status >= 500) wrong(`${method} ${path}: ${answer.status} ${answer.body.toString().slice(0, 300)}`)
      return await work({ answer, began: entry.began, ended: performance.now() })
    } finally {
      underWay.delete(entry)
    }
  }

  function count(what: string): void {
    counts[what] = (counts[what] ?? 0) + 1
  }

  async function pushBlobs({ base }: Repository, { blobs }: Image): Promise<void> {
    for (const { digest, bytes } of blobs) {
      await timed('POST', `${base}/blobs/uploads/?digest=${digest}`, { body: bytes }, ({ answer }) => {
        if (answer.status !== 201) wrong(`a blob was answered with ${answer.status}`)
      })
    }
  }

  async function makeImage(repository: Repository, random: Random): Promise<Known> {
    const made = image({ layers: [contentOf(random.bytes(random.whole(100, 5000)), layerType)] })
    await pushBlobs(repository, made)
    return remember(repository, { content: made.manifest, image: made, children: [] })
  }

  async function put(repository: Repository, { content, children }: Known, tag: string | undefined): Promise<void> {
    const { base, manifests, tags } = repository
    const changes = [
      historyOf(manifests, content.digest).begin('there'),
      ...(tag === undefined ? [] : [historyOf(tags, tag).begin(content.digest)]),
    ]
    const path = `${base}/manifests/${tag ?? content.digest}`
    await timed('PUT', path, { type: content.mediaType, body: content.bytes }, ({ answer, began, ended }) => {
      for (const change of changes) {
        if (answer.status === 201) change.done()
        else change.undone()
      }
      if (answer.status === 201) return
      const absent = children.some(child => mayBeAbsent(repository, child, began, ended))
      const says = codeIn(answer.body.toString())
      if (answer.status !== 400 || says !== 'MANIFEST_BLOB_UNKNOWN' || !absent)
        wrong(`PUT ${path}: ${answer.status} ${says}, though all that it needs is there`)
    })
  }

  function mayBeAbsent({ manifests }: Repository, { content }: Known, began: number, ended: number): boolean {
    return historyOf(manifests, content.digest).possible(began, ended).has(undefined)
  }

  async function deleteTag({ base, tags }: Repository, tag: string): Promise<void> {
    const history = historyOf(tags, tag)
    const change = history.begin(undefined)
    await timed('DELETE', `${base}/manifests/${tag}`, {}, ({ answer, began, ended }) => {
      if (answer.status === 202) return change.done()
      change.undone()
      if (answer.status !== 404) wrong(`DELETE of the tag ${tag}: ${answer.status}`)
      else if (!history.possible(began, ended).has(undefined)) wrong(`DELETE of the tag ${tag}, which is there: 404`)
    })
  }

  async function deleteManifest({ base, tags, manifests }: Repository, { content }: Known): Promise<void> {
    const { digest } = content
    const history = historyOf(manifests, digest)
    const change = history.begin(undefined)
    const ends = [...tags.values()].map(tag => tag.begin(undefined, { from: digest }))
    await timed('DELETE', `${base}/manifests/${digest}`, {}, ({ answer, began, ended }) => {
      if (answer.status === 202) {
        for (const one of [change, ...ends]) one.done()
        return
      }
      for (const one of [change, ...ends]) one.undone()
      if (answer.status !== 404) wrong(`DELETE of the manifest ${digest}: ${answer.status}`)
      else if (!history.possible(began, ended).has(undefined)) wrong(`DELETE of ${digest}, which is there: 404`)
    })
  }

  async function replaceImage(repository: Repository, random: Random): Promise<void> {
    const fresh = await makeImage(repository, random)
    repository.pool.splice(random.whole(0, poolSize - 1), 1, fresh)
    await put(repository, fresh, random.pick(tagNames))
  }

  async function putIndex(repository: Repository, random: Random): Promise<void> {
    const children = [random.pick(repository.pool), random.pick(repository.pool)]
    const content = index([...new Set(children)].map(child => child.content))
    await put(repository, remember(repository, { content, image: undefined, children }), random.pick(tagNames))
  }

  async function pullBlobs({ base }: Repository, { blobs }: Image): Promise<void> {
    for (const { digest, bytes } of blobs) {
      await timed('GET', `${base}/blobs/${digest}`, {}, ({ answer }) => {
        if (answer.status !== 200 || !answer.body.equals(bytes)) wrong(`the blob ${digest} is lost: ${answer.status}`)
      })
    }
  }

  /** Pulls what a tag points to, whole. */
  async function pullTag(repository: Repository, tag: string): Promise<void> {
    const path = `${repository.base}/manifests/${tag}`
    const digest = await timed('GET', path, {}, ({ answer, began, ended }) => {
      const possible = historyOf(repository.tags, tag).possible(began, ended)
      const found = answer.status === 200 ? String(answer.headers['docker-content-digest']) : undefined
      if (answer.status !== 200 && answer.status !== 404) wrong(`GET ${path}: ${answer.status}`)
      if (!possible.has(found)) wrong(`${path} gives ${found}, and not ${[...possible].join(' or ')}`)
      if (found !== undefined && !answer.body.equals(repository.known.get(found)?.content.bytes ?? Buffer.alloc(0)))
        wrong(`${path} gives other bytes than were pushed`)
      return found
    })
    const known = digest === undefined ? undefined : repository.known.get(digest)
    if (known?.image !== undefined) await pullBlobs(repository, known.image)
    for (const child of known?.children ?? []) await pullDigest(repository, child)
  }

  async function pullDigest(repository: Repository, { content, image }: Known): Promise<void> {
    const { digest, bytes } = content
    await timed('GET', `${repository.base}/manifests/${digest}`, {}, ({ answer, began, ended }) => {
      const possible = historyOf(repository.manifests, digest).possible(began, ended)
      if (!possible.has(answer.status === 200 ? 'there' : undefined))
        wrong(`GET of the manifest ${digest}: ${answer.status}`)
      if (answer.status === 200 && !answer.body.equals(bytes)) wrong(`${digest} has other bytes than were pushed`)
    })
    if (image !== undefined) await pullBlobs(repository, image)
  }

  async function listTags({ base, tags }: Repository): Promise<void> {
    await timed('GET', `${base}/tags/list`, {}, ({ answer, began, ended }) => {
      if (answer.status !== 200) return wrong(`the list of tags: ${answer.status}`)
      const names: string[] = JSON.parse(answer.body.toString()).tags
      for (const [tag, history] of tags) {
        const possible = history.possible(began, ended)
        if (names.includes(tag) ? possible.size === 1 && possible.has(undefined) : !possible.has(undefined))
          wrong(`${base}/tags/list ${names.includes(tag) ? 'has' : 'lacks'} ${tag}`)
      }
    })
  }

  return {
    faults,
    counts,
    async prepare(random) {
      for (const repository of all) {
        for (let at = 0; at < poolSize; at++) repository.pool.push(await makeImage(repository, random))
        for (const known of repository.pool) await put(repository, known, undefined)
      }
    },
    change(random) {
      const repository = random.pick(all)
      const dice = random.next()
      if (dice < 0.4) return put(repository, random.pick(repository.pool), random.pick(tagNames))
      if (dice < 0.55) return putIndex(repository, random)
      if (dice < 0.7) return put(repository, random.pick(repository.pool), undefined)
      if (dice < 0.85) return deleteTag(repository, random.pick(tagNames))
      if (dice < 0.93) return deleteManifest(repository, random.pick([...repository.known.values()].slice(-40)))
      return replaceImage(repository, random)
    },
    read(random) {
      const repository = random.pick(all)
      const dice = random.next()
      if (dice < 0.7) return pullTag(repository, random.pick(tagNames))
      if (dice < 0.85) return pullDigest(repository, random.pick(repository.pool))
      return listTags(repository)
    },
  }
}
