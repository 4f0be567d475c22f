import t from 'tap'
import { type ParsedManifest, parseManifest } from '../../server/oci/manifest.ts'
import { mediaTypes } from '../../server/oci/media-types.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}`
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest('c'), size: 2 }
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digest('1'), size: 3 }
const child = { mediaType: mediaTypes.ociImage, digest: digest('a'), size: 4 }
const image = { schemaVersion: 2, config, layers: [layer] }
const index = { schemaVersion: 2, manifests: [child] }
const { ociImage, ociIndex, dockerImage, dockerList } = mediaTypes

function parse(body: unknown, contentType?: string): ParsedManifest {
  return parseManifest(Buffer.from(JSON.stringify(body)), contentType)
}

const refused = (message: RegExp) => ({ code: 'MANIFEST_INVALID', status: 400, message })

t.test('an image has a config and layers, in that order', async t => {
  for (const type of [ociImage, dockerImage]) {
    const parsed = parse({ ...image, mediaType: type, layers: [layer, { ...layer, digest: digest('2') }] }, type)
    t.equal(parsed.mediaType, type)
    t.same(
      parsed.blobs.map(blob => blob.digest),
      [digest('c'), digest('1'), digest('2')],
    )
    t.same(parsed.children, [])
    t.equal(parsed.subject, undefined)
    t.equal(parsed.annotations, undefined)
  }
})

t.test('[74] an image need have no layers: an empty list, or the null that Go writes', async t => {
  for (const layers of [[], null]) t.equal(parse({ ...image, layers }, ociImage).blobs.length, 1)
})

t.test('[78] an index has children, which may be indexes, or none', async t => {
  const nested = { ...child, mediaType: ociIndex, digest: digest('b') }
  for (const type of [ociIndex, dockerList]) {
    const parsed = parse({ schemaVersion: 2, mediaType: type, manifests: [child, nested] }, type)
    t.same(
      parsed.children.map(one => one.digest),
      [digest('a'), digest('b')],
    )
    t.same(parsed.blobs, [])
    for (const manifests of [[], null]) t.same(parse({ schemaVersion: 2, manifests }, type).children, [])
  }
})

t.test('an image without its parts is refused', async t => {
  const bad: [unknown, RegExp][] = [
    [{}, /schemaVersion/],
    [{ ...image, schemaVersion: '2' }, /schemaVersion/],
    [{ ...image, schemaVersion: 3 }, /schemaVersion/],
    [{ ...image, schemaVersion: null }, /schemaVersion/],
    [{ schemaVersion: 2, layers: [layer] }, /config/],
    [{ ...image, config: null }, /config/],
    [{ ...image, config: [config] }, /config/],
    [{ schemaVersion: 2, config }, /layers/],
    [{ ...image, layers: {} }, /layers/],
    [{ ...image, layers: 'none' }, /layers/],
    [{ ...image, layers: [layer, null] }, /layers\[1\]/],
    [{ ...image, layers: [[layer]] }, /layers\[0\]/],
    [{ ...image, layers: [{}] }, /layers\[0\]/],
    [{ ...image, layers: [{ ...layer, size: -1 }] }, /layers\[0\]\.size/],
  ]
  for (const type of [ociImage, dockerImage])
    for (const [body, message] of bad) t.throws(() => parse(body, type), refused(message), JSON.stringify(body))
})

t.test('an index without its parts is refused', async t => {
  const bad: [unknown, RegExp][] = [
    [{}, /schemaVersion/],
    [{ ...index, schemaVersion: 2.5 }, /schemaVersion/],
    [{ schemaVersion: 2 }, /manifests/],
    [{ ...index, manifests: {} }, /manifests/],
    [{ ...index, manifests: [null] }, /manifests\[0\]/],
    [{ ...index, manifests: [child, { ...child, digest: 'x' }] }, /manifests\[1\]\.digest/],
    [{ ...index, manifests: [{ ...child, size: 1.5 }] }, /manifests\[0\]\.size/],
  ]
  for (const type of [ociIndex, dockerList])
    for (const [body, message] of bad) t.throws(() => parse(body, type), refused(message), JSON.stringify(body))
})

t.test('a manifest that is an image to some readers and an index to others is refused', async t => {
  for (const type of [ociImage, dockerImage, ociIndex, dockerList, undefined, 'application/json']) {
    t.throws(() => parse({ ...image, ...index }, type), refused(/no list of manifests|no config/), String(type))
  }
  t.throws(() => parse({ ...index, layers: [layer] }, ociIndex), refused(/no layers/))
  t.throws(() => parse({ ...image, mediaType: ociImage, manifests: [] }, ociImage), refused(/no list of manifests/))
})

t.test('schema 1 is refused with a way out, however it is announced', async t => {
  const unsigned = { schemaVersion: 1, name: 'a', tag: 'b', architecture: 'amd64', fsLayers: [], history: [] }
  const signed = { ...unsigned, signatures: [{ header: {}, signature: 'x', protected: 'y' }] }
  const types = [mediaTypes.dockerSchema1, mediaTypes.dockerSchema1Signed, 'application/json', ociImage, undefined]
  for (const body of [unsigned, signed])
    for (const type of types)
      t.throws(() => parse(body, type), refused(/schema 1 is not taken.*schema 2 or OCI/), String(type))
  // The type alone is enough: no reader of it would look further.
  t.throws(() => parse(image, mediaTypes.dockerSchema1), refused(/schema 1/))
})

t.test('[68] a Content-Type unlike the mediaType within is refused', async t => {
  t.throws(
    () => parse({ ...image, mediaType: dockerImage }, ociImage),
    refused(/Content-Type is .*oci.* says .*docker/),
  )
  t.throws(() => parse({ ...index, mediaType: ociIndex }, ociImage), refused(/Content-Type/))
  t.throws(() => parse({ ...image, mediaType: ociImage }, 'text/plain'), refused(/Content-Type/))
  for (const mediaType of [5, null, '', 'oci', {}, [ociImage]])
    t.throws(() => parse({ ...image, mediaType }, ociImage), refused(/mediaType/), JSON.stringify(mediaType))
})

t.test('[67] parameters and case of the Content-Type do not matter', async t => {
  const types = [`${ociImage}; charset=utf-8`, `${ociImage};`, ociImage.toUpperCase(), ` ${ociImage} `]
  for (const type of types) {
    t.equal(parse({ ...image, mediaType: ociImage }, type).mediaType, ociImage, type)
    t.equal(parse(image, type).mediaType, ociImage, type)
  }
})

t.test('a mediaType in odd case is the kind that it says', async t => {
  const mediaType = ociImage.replace('image', 'Image')
  t.equal(parse({ ...image, mediaType }, ociImage).mediaType, ociImage)
  t.throws(() => parse({ mediaType, schemaVersion: 2, manifests: [] }, 'application/json'), refused(/config/))
})

t.test('where the Content-Type says nothing, mediaType or the shape tells the kind', async t => {
  for (const type of [
    undefined,
    '',
    'application/json',
    'application/octet-stream',
    'Application/JSON; charset=utf-8',
  ]) {
    t.equal(parse({ ...image, mediaType: dockerImage }, type).mediaType, dockerImage, String(type))
    t.equal(parse(image, type).mediaType, ociImage, String(type))
    t.equal(parse(index, type).mediaType, ociIndex, String(type))
    t.throws(() => parse({}, type), refused(/its kind is not known/), String(type))
    t.throws(() => parse({ schemaVersion: 2 }, type), refused(/its kind is not known/), String(type))
  }
})

t.test('[75] a manifest of a type that is not known is taken, and what it refers to is noted', async t => {
  const type = 'application/vnd.example.thing.v7+json'
  t.same(parse({}, type), {
    mediaType: type,
    artifactType: undefined,
    subject: undefined,
    annotations: undefined,
    blobs: [],
    children: [],
  })
  const body = { config, layers: [layer], blobs: [{ ...layer, digest: digest('2') }], manifests: [child], other: [1] }
  const parsed = parse(body, type)
  t.equal(parsed.blobs.length, 3)
  t.equal(parsed.children.length, 1)
  t.throws(() => parse({ blobs: [{ ...layer, size: '3' }] }, type), refused(/blobs\[0\]\.size/))
  t.throws(() => parse({ layers: 'x' }, type), refused(/layers must be a list/))
})

t.test('the artifact manifest of the past, with blobs and a subject, is taken', async t => {
  const type = 'application/vnd.oci.artifact.manifest.v1+json'
  const parsed = parse({ mediaType: type, artifactType: 'text/x-test', blobs: [layer], subject: child }, type)
  t.match(parsed, {
    mediaType: type,
    artifactType: 'text/x-test',
    subject: child.digest,
    blobs: [{ digest: layer.digest }],
  })
})

t.test('a type that is not JSON is no type of a manifest', async t => {
  // It would be served under that type: as text/html a browser would run it.
  const types = [
    'text/html',
    'image/svg+xml',
    'application/javascript',
    'application/vnd.oci.image.layer.v1.tar',
    'json',
    '*/*',
  ]
  for (const type of types) {
    t.throws(() => parse({ a: '<script>' }, type), refused(/media type/), type)
    t.throws(() => parse({ mediaType: type, a: '<script>' }, type), refused(/media type/), type)
    t.throws(() => parse({ mediaType: type, a: '<script>' }), refused(/media type/), type)
  }
  t.throws(() => parse({ mediaType: 'text/html; a=+json' }), refused(/media type/))
  t.throws(() => parse({ mediaType: 'application/json' }), refused(/media type/))
})

t.test('[98] the artifact type is the one given, else that of an image’s config, else none', async t => {
  const artifactType = 'application/vnd.example.sbom'
  t.equal(parse({ ...image, artifactType }, ociImage).artifactType, artifactType)
  t.equal(parse(image, ociImage).artifactType, config.mediaType)
  t.equal(parse({ ...image, artifactType: '' }, ociImage).artifactType, config.mediaType)
  t.equal(parse({ ...index, artifactType }, ociIndex).artifactType, artifactType)
  t.equal(parse(index, ociIndex).artifactType, undefined)
  t.throws(() => parse({ ...image, artifactType: 'sbom' }, ociImage), refused(/artifactType/))
})

t.test('[79] the subject is the digest of its descriptor, which has to be a whole one', async t => {
  const subject = { ...child, digest: digest('5') }
  t.equal(parse({ ...image, subject }, ociImage).subject, subject.digest)
  t.equal(parse({ ...index, subject }, ociIndex).subject, subject.digest)
  t.equal(parse({ ...image, subject: null }, ociImage).subject, undefined)
  for (const wrong of [subject.digest, {}, [subject], { digest: subject.digest }, { ...subject, size: -1 }])
    t.throws(() => parse({ ...image, subject: wrong }, ociImage), refused(/subject/), JSON.stringify(wrong))
})

t.test('[99] annotations come out as they are, odd characters included', async t => {
  const annotations = { 'org.example': 'é😀\0\n"', '': '', a: '\ud800' }
  t.same(parse({ ...image, annotations }, ociImage).annotations, annotations)
  t.throws(() => parse({ ...image, annotations: { a: 1 } }, ociImage), refused(/annotations/))
  t.throws(() => parse({ ...image, annotations: ['a'] }, ociImage), refused(/annotations/))
})

t.test('[76] a config whose embedded data is something else is refused', async t => {
  t.throws(() => parse({ ...image, config: { ...config, data: 'e30=' } }, ociImage), refused(/config\.data/))
})

t.test('a body that is hostile to readers of JSON is refused', async t => {
  const texts = [
    `{"schemaVersion":2,"mediaType":"${ociImage}","mediaType":"${ociIndex}"}`,
    `{"schemaVersion":2,"layers":[],"l\\u0061yers":[]}`,
    `\ufeff${JSON.stringify(image)}`,
    `{"schemaVersion":2,"annotations":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
    `${JSON.stringify(image)}{}`,
  ]
  for (const text of texts) t.throws(() => parseManifest(Buffer.from(text), ociImage), refused(/./), text.slice(0, 80))
})
