import t from 'tap'
import { statement } from '../../../server/metadata/database.ts'
import { digestOf } from '../../../server/oci/digest.ts'
import {
  artifact,
  configType,
  type Content,
  contentOf,
  descriptorOf,
  type Image,
  image,
  imageType,
  index,
  indexType,
  jsonContent,
} from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { errorsOf, isRecord, pushImage, pushManifest, refusalOf } from './requests.ts'

const { url, database } = await startRegistry(t)
const sbom = 'application/vnd.example.sbom'
const signature = 'application/vnd.example.signature'

interface Referrer {
  mediaType: unknown
  digest: unknown
  size: unknown
  artifactType?: unknown
  annotations?: unknown
}

interface Answer {
  response: Response
  bytes: number
  referrers: Referrer[]
  next: string | undefined
}

/** A page of referrers, which has to be an index of the right form. */
async function ask(address: string): Promise<Answer> {
  const response = await fetch(address)
  const text = await response.text()
  const body: unknown = JSON.parse(text)
  if (response.status !== 200 || !isRecord(body) || !Array.isArray(body['manifests']))
    throw new Error(`${response.status}: no index: ${text.slice(0, 300)}`)
  const link = response.headers.get('link')
  const next = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1]
  if (link !== null && next === undefined) throw new Error(`not a link: ${link}`)
  return { response, bytes: Buffer.byteLength(text), referrers: body['manifests'], next }
}

const addressOf = (repository: string, subject: Content, query = '') =>
  `${url}/v2/${repository}/referrers/${subject.digest}${query}`

/** The digests on one page, or on all of them. */
async function digests(repository: string, subject: Content, query = ''): Promise<unknown[]> {
  const { referrers } = await ask(addressOf(repository, subject, query))
  return referrers.map(({ digest }) => digest)
}

async function follow(first: string): Promise<Answer[]> {
  const pages: Answer[] = []
  for (let next: string | undefined = first; next !== undefined;) {
    const page: Answer = await ask(next)
    pages.push(page)
    next = page.next
    if (pages.length > 500) throw new Error('the pages come to no end')
  }
  return pages
}

function sorted(manifests: readonly Content[]): string[] {
  return manifests.map(({ digest }) => digest).toSorted((a, b) => (a < b ? -1 : 1))
}

function remove(repository: string, { digest }: Content): Promise<Response> {
  return fetch(`${url}/v2/${repository}/manifests/${digest}`, { method: 'DELETE' })
}

t.test('[95] [99] referrers come as an index of descriptors with type, digest, size and annotations', async t => {
  const subject = image()
  await pushImage(url, 'list', subject)
  const annotations = { 'org.example': 'é😀\0"', '': '' }
  const one = artifact(sbom, { subject: subject.manifest, annotations })
  const two = artifact(signature, { subject: subject.manifest })
  for (const each of [one, two]) await pushImage(url, 'list', each)

  const response = await fetch(addressOf('list', subject.manifest))
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), indexType)
  t.equal(response.headers.get('oci-filters-applied'), null)
  t.equal(response.headers.get('link'), null)
  const described = [
    { ...descriptorOf(one.manifest), artifactType: sbom, annotations },
    { ...descriptorOf(two.manifest), artifactType: signature },
  ]
  const manifests = described.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
  t.same(await response.json(), { schemaVersion: 2, mediaType: indexType, manifests })
})

t.test('[6] HEAD of the referrers is GET without the body', async t => {
  const subject = image()
  await pushImage(url, 'head', artifact(sbom, { subject: subject.manifest }))
  const get = await fetch(addressOf('head', subject.manifest))
  const head = await fetch(addressOf('head', subject.manifest), { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
  t.equal(Number(head.headers.get('content-length')), (await get.arrayBuffer()).byteLength)
  t.equal(head.headers.get('content-type'), indexType)
})

t.test('[96] an unknown subject, and a repository that was never pushed to, have an empty index', async t => {
  await pushImage(url, 'known', image())
  for (const repository of ['known', 'never-pushed', 'never/pushed/either']) {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const subject = contentOf('never pushed', imageType, algorithm)
      for (const query of ['', '?n=5', `?artifactType=${sbom}`]) {
        const { response, referrers, next } = await ask(addressOf(repository, subject, query))
        t.equal(response.headers.get('content-type'), indexType)
        t.same(referrers, [])
        t.equal(next, undefined)
      }
    }
  }
  t.equal(await refusalOf(await fetch(`${url}/v2/never-pushed/tags/list`)), '404 NAME_UNKNOWN')
})

t.test('[97] a digest that is none is 400', async t => {
  const bad = [
    'latest',
    'sha256:abc',
    `sha256:${'A'.repeat(64)}`,
    `md5:${'0'.repeat(32)}`,
    ':',
    `sha256-${'0'.repeat(64)}`,
    '%00',
  ]
  for (const digest of bad)
    t.equal(await refusalOf(await fetch(`${url}/v2/known/referrers/${digest}`)), '400 DIGEST_INVALID', digest)
  t.equal(await refusalOf(await fetch(`${url}/v2/Bad/referrers/${image().manifest.digest}`)), '400 NAME_INVALID')
})

t.test('[98] the artifact type is the manifest’s, else that of an image’s config, and none for an index', async t => {
  const subject = image().manifest
  const config = jsonContent({}, configType)
  const typed = artifact(sbom, { subject })
  const plain = jsonContent(
    { schemaVersion: 2, config: descriptorOf(config), layers: [], subject: descriptorOf(subject) },
    imageType,
  )
  const list = index([], { subject })
  const typedList = jsonContent(
    { schemaVersion: 2, mediaType: indexType, artifactType: signature, manifests: [], subject: descriptorOf(subject) },
    indexType,
  )
  await pushImage(url, 'types', typed)
  await pushImage(url, 'types', { blobs: [config], manifest: plain })
  for (const manifest of [list, typedList]) await pushManifest(url, 'types', manifest.digest, manifest)

  const { referrers } = await ask(addressOf('types', subject))
  const types = new Map(referrers.map(referrer => [referrer.digest, referrer.artifactType]))
  t.equal(types.get(typed.manifest.digest), sbom)
  t.equal(types.get(plain.digest), configType)
  t.equal(types.get(typedList.digest), signature)
  const ofList = referrers.find(({ digest }) => digest === list.digest)
  t.match(ofList, { mediaType: indexType, size: list.bytes.length })
  t.notOk(Object.hasOwn(ofList ?? {}, 'artifactType'), 'it is left out, not empty')
  t.notOk(Object.hasOwn(ofList ?? {}, 'annotations'))
})

t.test('[99] a subject by sha512, and referrers by sha512, are found by these digests', async t => {
  const subject = image({ algorithm: 'sha512' })
  await pushImage(url, 'long', subject)
  const referrer = image({ subject: subject.manifest, algorithm: 'sha512' })
  await pushImage(url, 'long', referrer)
  t.same(await digests('long', subject.manifest), [referrer.manifest.digest])
  t.same(await digests('long', contentOf(subject.manifest.bytes, imageType)), [], 'not by another digest of the same')
})

t.test('referrers of one repository are not those of another', async t => {
  const subject = image()
  for (const repository of ['ours', 'theirs']) await pushImage(url, repository, subject)
  await pushImage(url, 'ours', artifact(sbom, { subject: subject.manifest }))
  t.same(await digests('theirs', subject.manifest), [])
})

t.test('[100] n caps a page, and Link leads through all of them, each once', async t => {
  const subject = image().manifest
  const referrers = Array.from({ length: 7 }, (_, at) => artifact(sbom, { subject, annotations: { at: `${at}` } }))
  for (const referrer of referrers) await pushImage(url, 'pages', referrer)
  const all = sorted(referrers.map(({ manifest }) => manifest))
  t.same(await digests('pages', subject), all)
  for (const n of [1, 2, 3, 6, 7, 8, 1000, 10_000_000_000]) {
    const pages = await follow(addressOf('pages', subject, `?n=${n}`))
    t.same(
      pages.flatMap(page => page.referrers.map(({ digest }) => digest)),
      all,
      `n=${n}`,
    )
    t.ok(pages.every((page, at) => page.referrers.length === n || at === pages.length - 1))
  }
  t.match(await ask(addressOf('pages', subject, '?n=0')), { referrers: [], next: undefined })
  t.same(await digests('pages', subject, `?last=${all[4]}`), all.slice(5), 'last works without n')
  t.same(await digests('pages', subject, '?last=sha256:~'), [])
  t.same(await digests('pages', subject, '?last=zz%20x'), [], 'and need be no digest')
  for (const query of ['?n=-1', '?n=x', '?n=', '?last=%00', '?artifactType=%00'])
    t.equal(await refusalOf(await fetch(addressOf('pages', subject, query))), '400 UNSUPPORTED', query)
})

t.test('[100] pages stay under 4 MiB whatever annotations there are, and all can be had', async t => {
  const subject = image().manifest
  const sizes = [1.5, 1.5, 1.5, 1.5, 0.1, 0.1, 2.9, 2.9, 3.9, 3.9, 3.99].map(size => Math.floor(size * 1024 * 1024))
  const referrers = sizes.map((size, at) =>
    index([], { subject, annotations: { at: `${at}`, large: 'é'.repeat(Math.floor(size / 2)) } }),
  )
  for (const referrer of referrers) await pushManifest(url, 'large', referrer.digest, referrer)
  for (const query of ['', '?n=100']) {
    const pages = await follow(addressOf('large', subject, query))
    for (const { bytes } of pages) t.ok(bytes < 4 * 1024 * 1024, `${bytes} bytes`)
    const found = pages.flatMap(page => page.referrers)
    t.same(
      found.map(({ digest }) => digest),
      sorted(referrers),
    )
    t.ok(found.every(({ annotations }) => isRecord(annotations) && typeof annotations['large'] === 'string'))
  }
})

t.test('[101] the filter by artifact type is applied, and said to be', async t => {
  const subject = image().manifest
  const ones: Image[] = []
  for (let at = 0; at < 5; at++) {
    const annotations = { at: `${at}` }
    ones.push(artifact(sbom, { subject, annotations }))
    await pushImage(url, 'filter', artifact(signature, { subject, annotations }))
  }
  for (const one of ones) await pushImage(url, 'filter', one)
  const config = jsonContent({}, 'application/vnd.example.config+json')
  const body = { schemaVersion: 2, config: descriptorOf(config), layers: [], subject: descriptorOf(subject) }
  const byConfig = jsonContent(body, imageType)
  await pushImage(url, 'filter', { blobs: [config], manifest: byConfig })

  const all = sorted(ones.map(({ manifest }) => manifest))
  const filtered = await ask(addressOf('filter', subject, `?artifactType=${encodeURIComponent(sbom)}`))
  t.equal(filtered.response.headers.get('oci-filters-applied'), 'artifactType')
  t.same(
    filtered.referrers.map(({ digest }) => digest),
    all,
  )
  t.same(await digests('filter', subject, `?artifactType=${encodeURIComponent(config.mediaType)}`), [byConfig.digest])
  t.same(await digests('filter', subject, '?artifactType=application/vnd.example.none'), [])
  t.same(await digests('filter', subject, `?artifactType=${sbom.slice(0, -1)}`), [], 'it is no prefix')
  t.same(await digests('filter', subject, '?artifactType=%25'), [], 'and no pattern')

  const pages = await follow(addressOf('filter', subject, `?artifactType=${encodeURIComponent(sbom)}&n=2`))
  t.same(
    pages.map(page => page.referrers.length),
    [2, 2, 1],
  )
  t.same(
    pages.flatMap(page => page.referrers.map(({ digest }) => digest)),
    all,
    'Link keeps the filter',
  )
  t.ok(pages.every(({ response }) => response.headers.get('oci-filters-applied') === 'artifactType'))

  const none = await ask(addressOf('filter', subject, '?artifactType='))
  t.equal(none.referrers.length, 11, 'an empty filter is none')
  t.equal(none.response.headers.get('oci-filters-applied'), null)
})

t.test('[102] what an index under the fallback tag lists is found as well, merged and once each', async t => {
  const subject = image()
  await pushImage(url, 'fallback', subject)
  // As clients attached before there were subjects: nothing but the index tells of it.
  const old = artifact(sbom, { annotations: { old: 'yes' } })
  const modern = artifact(signature, { subject: subject.manifest })
  const both = artifact(sbom, { subject: subject.manifest })
  for (const one of [old, modern, both]) await pushImage(url, 'fallback', one)
  const tag = subject.manifest.digest.replace(':', '-')
  const list = index([old.manifest, both.manifest, old.manifest])
  await pushManifest(url, 'fallback', tag, list)

  const all = sorted([old, modern, both].map(({ manifest }) => manifest))
  t.same(await digests('fallback', subject.manifest), all)
  t.same(
    (await follow(addressOf('fallback', subject.manifest, '?n=1'))).flatMap(page =>
      page.referrers.map(one => one.digest),
    ),
    all,
  )
  const filtered = await ask(addressOf('fallback', subject.manifest, `?artifactType=${sbom}`))
  t.same(
    filtered.referrers.map(({ digest }) => digest),
    sorted([old.manifest, both.manifest]),
  )
  t.match(
    filtered.referrers.find(({ digest }) => digest === old.manifest.digest),
    {
      mediaType: imageType,
      size: old.manifest.bytes.length,
      artifactType: sbom,
      annotations: { old: 'yes' },
    },
  )

  await remove('fallback', old.manifest)
  t.same(await digests('fallback', subject.manifest), sorted([modern.manifest, both.manifest]), 'a deleted one is gone')
  await pushManifest(url, 'fallback', tag, index([]))
  t.same(await digests('fallback', subject.manifest), sorted([modern.manifest, both.manifest]), 'the tag moved on')
  await pushImage(url, 'fallback', old)
  await pushManifest(url, 'fallback', tag, list)
  t.same(await digests('fallback', subject.manifest), all)
  await fetch(`${url}/v2/fallback/manifests/${tag}`, { method: 'DELETE' })
  t.same(await digests('fallback', subject.manifest), sorted([modern.manifest, both.manifest]), 'the tag is deleted')
})

t.test('[102] the fallback tag of a sha512 digest is cut to 64 digits', async t => {
  const subject = image({ algorithm: 'sha512' })
  const old = artifact(sbom)
  await pushImage(url, 'fallback-long', old)
  const [algorithm = '', encoded = ''] = subject.manifest.digest.split(':')
  await pushManifest(url, 'fallback-long', `${algorithm}-${encoded.slice(0, 64)}`, index([old.manifest]))
  t.same(await digests('fallback-long', subject.manifest), [old.manifest.digest])
})

t.test('[104] the fallback tag is a tag like any other: it can be pushed, pulled, listed and moved', async t => {
  const subject = image().manifest
  const tag = subject.digest.replace(':', '-')
  const [one, two] = [index([]), index([], { annotations: { two: '' } })]
  for (const list of [one, two]) {
    await pushManifest(url, 'plain-tag', tag, list)
    const pulled = await fetch(`${url}/v2/plain-tag/manifests/${tag}`)
    t.equal(await pulled.text(), list.bytes.toString())
  }
  t.match(await (await fetch(`${url}/v2/plain-tag/tags/list`)).json(), { tags: [tag] })
})

t.test('whatever stands under the fallback tag is harmless', async t => {
  const sparse = await startRegistry(t, { rules: { children: 'none', absentBlobs: true } })
  const subject = image().manifest
  const tag = subject.digest.replace(':', '-')
  const real = artifact(sbom, { subject })
  const stranger = image()
  await pushImage(sparse.url, 'hostile', real)
  await pushImage(sparse.url, 'elsewhere', stranger)
  const address = `${sparse.url}/v2/hostile/referrers/${subject.digest}`
  const found = async () => (await ask(address)).referrers.map(({ digest }) => digest)

  const absent = Array.from({ length: 20_000 }, (_, at) => ({
    mediaType: imageType,
    digest: `sha256:${String(at).padStart(64, '0')}`,
    size: 1,
  }))
  const unknownType = 'application/vnd.example.list+json'
  const hostile = [
    image().manifest,
    index([stranger.manifest]),
    jsonContent({ schemaVersion: 2, mediaType: indexType, manifests: absent }, indexType),
    jsonContent({ manifests: [descriptorOf(stranger.manifest)] }, unknownType),
    jsonContent({ schemaVersion: 2, mediaType: indexType, manifests: null }, indexType),
  ]
  for (const [at, manifest] of hostile.entries()) {
    await pushManifest(sparse.url, 'hostile', tag, manifest)
    t.same(await found(), [real.manifest.digest], `hostile manifest ${at}`)
  }

  // An index that lists itself can't be made; one that lists the real ones with lies about them can.
  const lies = { ...descriptorOf(real.manifest), mediaType: 'text/html', annotations: { lie: 'yes' } }
  await pushManifest(sparse.url, 'hostile', tag, jsonContent({ schemaVersion: 2, manifests: [lies] }, indexType))
  t.match((await ask(address)).referrers, [{ ...descriptorOf(real.manifest), artifactType: sbom }])

  // What was stored by other rules than today's, even if it can't be read any more.
  const ruin = statement('test.ruin', `update manifests set payload = '\\xff00'::bytea where media_type = $1`)
  t.ok((await sparse.database.change(ruin, [indexType])) > 0)
  t.same(await found(), [real.manifest.digest])
})

t.test('[103] a deleted referrer is gone at once, and back when it is pushed again', async t => {
  const subject = image()
  await pushImage(url, 'gone', subject)
  const referrer = artifact(sbom, { subject: subject.manifest })
  for (let round = 0; round < 3; round++) {
    await pushImage(url, 'gone', referrer, 'attached')
    t.same(await digests('gone', subject.manifest), [referrer.manifest.digest])
    t.equal((await remove('gone', referrer.manifest)).status, 202)
    t.same(await digests('gone', subject.manifest), [])
  }
})

t.test('[103] deleting the subject leaves its referrers to be found', async t => {
  const subject = image()
  await pushImage(url, 'orphan', subject)
  const referrer = artifact(sbom, { subject: subject.manifest })
  await pushImage(url, 'orphan', referrer)
  await remove('orphan', subject.manifest)
  t.same(await digests('orphan', subject.manifest), [referrer.manifest.digest])
})

t.test('[70] a referrer that came before its subject is found', async t => {
  const subject = image()
  const referrer = artifact(sbom, { subject: subject.manifest })
  await pushImage(url, 'early', referrer)
  t.same(await digests('early', subject.manifest), [referrer.manifest.digest])
  await pushImage(url, 'early', subject)
  t.same(await digests('early', subject.manifest), [referrer.manifest.digest])
})

t.test('a referrer of a referrer is listed with its own subject alone', async t => {
  const subject = image().manifest
  const first = artifact(sbom, { subject })
  const second = artifact(signature, { subject: first.manifest })
  for (const one of [first, second]) await pushImage(url, 'chain', one)
  t.same(await digests('chain', subject), [first.manifest.digest])
  t.same(await digests('chain', first.manifest), [second.manifest.digest])
  t.same(await digests('chain', second.manifest), [])
})

t.test('[100] a thousand referrers come in one page, more lead on', async t => {
  const subject = image().manifest
  const one = index([], { subject })
  await pushManifest(url, 'thousand', one.digest, one)
  const copies = statement(
    'test.copies',
    `insert into manifests (repository_id, digest, media_type, subject_digest, content_size, payload)
     select repository_id, 'sha256:' || lpad(to_hex(i), 64, '0'), media_type, subject_digest, 0, payload
       from manifests m, generate_series(1, 1500) i where m.digest = $1`,
  )
  t.equal(await database.change(copies, [one.digest]), 1500)
  const pages = await follow(addressOf('thousand', subject))
  t.same(
    pages.map(({ referrers }) => referrers.length),
    [1000, 501],
  )
  t.equal(new Set(pages.flatMap(({ referrers }) => referrers.map(({ digest }) => digest))).size, 1501)
})

t.test('errors are the envelope here too', async t => {
  const response = await fetch(`${url}/v2/list/referrers/${digestOf(Buffer.from('x'))}?n=x`)
  t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /n must be a whole number/, detail: { n: 'x' } }])
})
