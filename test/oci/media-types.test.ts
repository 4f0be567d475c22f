import t from 'tap'
import {
  bareMediaType,
  isGenericType,
  isImageType,
  isIndexType,
  isMediaType,
  isNonDistributable,
  isSchema1Type,
  mediaTypes,
} from '../../server/oci/media-types.ts'

t.test('media types of RFC 6838, with parameters or without, are media types', async t => {
  const good = [
    ...Object.values(mediaTypes),
    'a/b',
    'text/plain; charset=utf-8',
    'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
    'application/vnd.sylabs.sif.layer.v1.sif',
    'application/vnd.example; profile="a b"',
    `${'a'.repeat(127)}/${'b'.repeat(127)}`,
  ]
  for (const type of good) t.ok(isMediaType(type), type)
})

t.test('anything else is none', async t => {
  const bad = [
    '',
    '/',
    'a',
    'a/',
    '/b',
    'a/b/c',
    'a b/c',
    'a/b,c/d',
    'a/*',
    '*/*',
    '.a/b',
    'a/b\n',
    'a/b\r\nx: y',
    'a/b; x=\n',
    'a/b; é',
    'a/b\0',
    'é/b',
    `${'a'.repeat(128)}/b`,
    `a/b;${'x'.repeat(600)}`,
  ]
  for (const type of bad) t.notOk(isMediaType(type), JSON.stringify(type))
})

t.test('a media type that almost is one is refused in no time', async t => {
  t.notOk(isMediaType(`a/b${' '.repeat(500)}`))
  t.notOk(isMediaType(' '.repeat(10_000_000)))
})

t.test('[67] a header is compared without its parameters and in lower case', async t => {
  t.equal(bareMediaType(`${mediaTypes.ociImage}; charset=utf-8`), mediaTypes.ociImage)
  t.equal(bareMediaType(`  ${mediaTypes.ociImage.toUpperCase()} ;x`), mediaTypes.ociImage)
  t.equal(bareMediaType(';charset=utf-8'), undefined)
  t.equal(bareMediaType(''), undefined)
  t.equal(bareMediaType(undefined), undefined)
})

t.test('each known type is of one kind', async t => {
  const kinds = { image: isImageType, index: isIndexType, schema1: isSchema1Type, generic: isGenericType }
  const kindsOf = (type: string) => Object.entries(kinds).flatMap(([kind, is]) => (is(type) ? [kind] : []))
  t.same(kindsOf(mediaTypes.ociImage), ['image'])
  t.same(kindsOf(mediaTypes.dockerImage), ['image'])
  t.same(kindsOf(mediaTypes.ociIndex), ['index'])
  t.same(kindsOf(mediaTypes.dockerList), ['index'])
  t.same(kindsOf(mediaTypes.dockerSchema1), ['schema1'])
  t.same(kindsOf(mediaTypes.dockerSchema1Signed), ['schema1'])
  t.same(kindsOf('application/json'), ['generic'])
  t.same(kindsOf('application/octet-stream'), ['generic'])
  t.same(kindsOf('application/vnd.example+json'), [])
})

t.test('[77] layers that are not to be distributed are known by their type', async t => {
  const foreign = [
    'application/vnd.oci.image.layer.nondistributable.v1.tar',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  ]
  for (const type of foreign) t.ok(isNonDistributable(type), type)
  t.notOk(isNonDistributable('application/vnd.oci.image.layer.v1.tar+gzip'))
  t.notOk(isNonDistributable('application/vnd.docker.image.rootfs.diff.tar.gzip'))
})
