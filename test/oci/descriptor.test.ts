import t from 'tap'
import { parseAnnotations, parseArtifactType, parseDescriptor } from '../../server/oci/descriptor.ts'
import { digestOf } from '../../server/oci/digest.ts'

const digest = `sha256:${'a'.repeat(64)}`
const plain = { mediaType: 'application/vnd.example+json', digest, size: 5 }
const refused = (message: RegExp) => ({ code: 'MANIFEST_INVALID', status: 400, message })

t.test('a descriptor has a media type, a digest and a size', async t => {
  t.same(parseDescriptor(plain, 'config'), {
    ...plain,
    urls: [],
    artifactType: undefined,
    platform: undefined,
  })
  t.match(parseDescriptor({ ...plain, digest: `sha512:${'a'.repeat(128)}`, size: 0 }, 'config'), { size: 0 })
  t.match(parseDescriptor({ ...plain, size: Number.MAX_SAFE_INTEGER }, 'config'), { size: Number.MAX_SAFE_INTEGER })
})

t.test('[75] fields that are not known do not matter', async t => {
  t.ok(parseDescriptor({ ...plain, 'org.example': { a: [1] }, Digest: 5 }, 'config'))
})

t.test('what is no object is no descriptor', async t => {
  for (const value of [undefined, null, true, 5, 'text', digest, [], [plain]]) {
    t.throws(
      () => parseDescriptor(value, 'layers[3]'),
      refused(/layers\[3\] must be a descriptor/),
      JSON.stringify(value),
    )
  }
})

t.test('a size that is no whole number of bytes is refused', async t => {
  const sizes = [
    undefined,
    null,
    '5',
    '',
    true,
    [5],
    {},
    -1,
    1.5,
    1e300,
    -1e300,
    Number.MAX_SAFE_INTEGER + 1,
    NaN,
    Infinity,
  ]
  for (const size of sizes)
    t.throws(() => parseDescriptor({ ...plain, size }, 'config'), refused(/config\.size/), JSON.stringify(size) ?? '')
})

t.test('a digest of another length, case or algorithm is refused', async t => {
  const digests = [
    undefined,
    null,
    5,
    '',
    [digest],
    'latest',
    digest.slice(0, -1),
    `${digest}a`,
    digest.toUpperCase(),
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(32)}`,
    `sha512:${'a'.repeat(64)}`,
  ]
  for (const wrong of digests)
    t.throws(
      () => parseDescriptor({ ...plain, digest: wrong }, 'config'),
      refused(/config\.digest/),
      JSON.stringify(wrong),
    )
})

t.test('a media type that is none is refused', async t => {
  for (const mediaType of [undefined, null, 5, '', 'text', '*/*', 'a/b\r\n', ['a/b']]) {
    t.throws(() => parseDescriptor({ ...plain, mediaType }, 'x'), refused(/x\.mediaType/), JSON.stringify(mediaType))
  }
})

t.test('URLs are a list of strings, or absent, or null', async t => {
  const urls = ['https://example.com/layer']
  t.match(parseDescriptor({ ...plain, urls }, 'x'), { urls })
  t.same(parseDescriptor({ ...plain, urls: null }, 'x').urls, [])
  for (const wrong of ['https://example.com', [5], [null], {}, [['https://example.com']]]) {
    t.throws(() => parseDescriptor({ ...plain, urls: wrong }, 'x'), refused(/x\.urls/), JSON.stringify(wrong))
  }
})

t.test('a platform has an operating system and an architecture that are strings', async t => {
  const platform = { os: 'linux', architecture: 'arm', variant: 'v7', 'os.features': ['a'] }
  t.same(parseDescriptor({ ...plain, platform }, 'x').platform, { os: 'linux', architecture: 'arm' })
  t.same(parseDescriptor({ ...plain, platform: {} }, 'x').platform, { os: undefined, architecture: undefined })
  t.equal(parseDescriptor({ ...plain, platform: null }, 'x').platform, undefined)
  for (const wrong of ['linux/arm', 5, ['linux'], { os: 5 }, { os: null }, { architecture: {} }]) {
    t.throws(() => parseDescriptor({ ...plain, platform: wrong }, 'x'), refused(/x\.platform/), JSON.stringify(wrong))
  }
})

t.test('[76] embedded data is taken when it is what digest and size say', async t => {
  for (const text of ['', '{}', 'a', 'ab', 'abc', 'é\0']) {
    const bytes = Buffer.from(text)
    const fields = { ...plain, size: bytes.length, data: bytes.toString('base64') }
    t.ok(parseDescriptor({ ...fields, digest: digestOf(bytes) }, 'x'), JSON.stringify(text))
    t.ok(parseDescriptor({ ...fields, digest: digestOf(bytes, 'sha512') }, 'x'), JSON.stringify(text))
  }
  t.ok(parseDescriptor({ ...plain, data: null }, 'x'))
})

t.test('[76] embedded data that is something else is refused', async t => {
  const bytes = Buffer.from([0xfb, 0xff, 0xfe, 0])
  const right = { ...plain, digest: digestOf(bytes), size: 4 }
  const data = bytes.toString('base64')
  t.ok(parseDescriptor({ ...right, data }, 'x'))
  for (const wrong of [5, {}, [data]])
    t.throws(() => parseDescriptor({ ...right, data: wrong }, 'x'), refused(/x\.data/))
  t.throws(() => parseDescriptor({ ...right, data: 'e30=' }, 'x'), refused(/x\.data is not the content/))
  t.throws(() => parseDescriptor({ ...right, size: 5, data }, 'x'), refused(/x\.data is not the content/))
  t.throws(() => parseDescriptor({ ...plain, size: 4, data }, 'x'), refused(/x\.data is not the content/))
  // What Node's decoder reads over; clients that do not could not read the manifest at all.
  const sloppy = [
    data.replaceAll('=', ''),
    bytes.toString('base64url'),
    `${data}\n`,
    ` ${data}`,
    `${data}!`,
    `${data}${data}`,
  ]
  for (const text of sloppy) t.throws(() => parseDescriptor({ ...right, data: text }, 'x'), refused(/x\.data/), text)
})

t.test('annotations map strings to strings, or are absent', async t => {
  t.same(parseAnnotations({ a: 'b', '': '' }, 'annotations'), { a: 'b', '': '' })
  t.equal(parseAnnotations(undefined, 'annotations'), undefined)
  t.equal(parseAnnotations(null, 'annotations'), undefined)
  for (const wrong of ['a', 5, [], ['a'], { a: 5 }, { a: null }, { a: { b: 'c' } }, { a: ['b'] }]) {
    t.throws(() => parseAnnotations(wrong, 'annotations'), refused(/annotations/), JSON.stringify(wrong))
    t.throws(() => parseDescriptor({ ...plain, annotations: wrong }, 'x'), refused(/x\.annotations/))
  }
})

t.test('an artifact type is a media type, or absent', async t => {
  t.equal(parseArtifactType('application/vnd.example', 'x'), 'application/vnd.example')
  for (const none of [undefined, null, '']) t.equal(parseArtifactType(none, 'x'), undefined)
  for (const wrong of [5, {}, ['a/b'], 'text', 'a/b\0']) {
    t.throws(() => parseArtifactType(wrong, 'x'), refused(/artifactType/), JSON.stringify(wrong))
  }
})
