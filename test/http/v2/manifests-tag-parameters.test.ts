import t from 'tap'
import { statement } from '../../../server/metadata/database.ts'
import { type Content, image, index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { digestAt, errorsOf, pushImage, pushManifest, putManifest, refusalOf } from './requests.ts'

const { url, database, databaseUrl } = await startRegistry(t)

/** A manifest unlike any other, which needs nothing in its repository. */
function unique(name: string): Content {
  return index([], { annotations: { name } })
}

/** A push by digest, or by another reference, that sets tags as well. */
function putTagged(
  repository: string,
  manifest: Content,
  tags: readonly string[],
  options: { reference?: string; url?: string } = {},
): Promise<Response> {
  const query = tags.map(tag => `tag=${encodeURIComponent(tag)}`).join('&')
  return putManifest(options.url ?? url, repository, `${options.reference ?? manifest.digest}?${query}`, manifest)
}

/** The values of a header that may come several times. */
function headerList(response: Response, name: string): string[] {
  return response.headers.get(name)?.split(', ') ?? []
}

t.test('[80] each tag of a push by digest is set, and told in OCI-Tag', async t => {
  const one = image()
  for (const tags of [['v1'], ['v1', 'v1.2', 'v1.2.3'], ['latest', 'latest']]) {
    await pushImage(url, 'tags', one)
    const push = await putTagged('tags', one.manifest, tags)
    t.equal(push.status, 201)
    t.same(headerList(push, 'oci-tag').toSorted(), [...new Set(tags)].toSorted())
    t.equal(push.headers.get('docker-content-digest'), one.manifest.digest)
    for (const tag of tags) t.equal(await digestAt(url, 'tags', tag), one.manifest.digest, tag)
  }
  t.equal((await pushManifest(url, 'tags', one.manifest.digest, one.manifest)).headers.get('oci-tag'), null)
})

t.test('[80] the digest may be sha512, and the tags lead to it', async t => {
  const one = image({ algorithm: 'sha512' })
  await pushImage(url, 'long', one)
  t.equal((await putTagged('long', one.manifest, ['a', 'b'])).status, 201)
  for (const tag of ['a', 'b']) t.equal(await digestAt(url, 'long', tag), one.manifest.digest)
})

t.test('[81] ten tags at once are taken, and a hundred', async t => {
  for (const count of [10, 100]) {
    const tags = Array.from({ length: count }, (_, at) => `t${at}`)
    const manifest = unique(`${count}`)
    const push = await putTagged('ten', manifest, tags)
    t.equal(push.status, 201)
    t.equal(headerList(push, 'oci-tag').length, count)
    const found = await Promise.all(tags.map(tag => digestAt(url, 'ten', tag)))
    t.same([...new Set(found)], [manifest.digest])
  }
})

t.test('[82] more than a hundred are 414, and none of them is set', async t => {
  const manifest = unique('many')
  const response = await putTagged(
    'many',
    manifest,
    Array.from({ length: 101 }, (_, at) => `t${at}`),
  )
  t.equal(await refusalOf(response), '414 UNSUPPORTED')
  t.equal(await digestAt(url, 'many', 't0'), undefined)
  t.equal(await digestAt(url, 'many', manifest.digest), undefined)
})

t.test('[80] one tag that is none refuses the whole push', async t => {
  for (const bad of ['', '.a', '-a', 'a b', 'a/b', 'é', 'a\0', 'a'.repeat(129), unique('x').digest]) {
    const manifest = unique(`with ${bad}`)
    const response = await putTagged('bad', manifest, ['good', bad])
    t.equal(await refusalOf(response), '400 MANIFEST_INVALID', JSON.stringify(bad))
    t.equal(await digestAt(url, 'bad', 'good'), undefined)
    t.equal(await digestAt(url, 'bad', manifest.digest), undefined)
  }
})

t.test('[80] tags beside a tag in the path are refused', async t => {
  const response = await putTagged('path', unique('x'), ['b'], { reference: 'a' })
  t.equal(response.status, 400)
  t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /goes with a push by digest/ }])
  t.equal(await digestAt(url, 'path', 'a'), undefined)
})

t.test('[80] a push that is refused sets no tag', async t => {
  const { manifest } = image()
  t.equal((await putTagged('refused', manifest, ['a', 'b'])).status, 400, 'its blobs are missing')
  t.equal(
    (await putTagged('refused', unique('x'), ['a', 'b'], { reference: unique('y').digest })).status,
    400,
    'not the digest',
  )
  for (const tag of ['a', 'b']) t.equal(await digestAt(url, 'refused', tag), undefined)
})

t.test('pushes and deletions that cross each other do not come to a deadlock', async t => {
  const tags = Array.from({ length: 40 }, (_, at) => `t${at}`)
  const digestsOf = async (repository: string) => [
    ...new Set(await Promise.all(tags.map(tag => digestAt(url, repository, tag)))),
  ]

  // Sessions of the database tell what they counted when they end: so these have a registry of their own.
  await t.test('two pushes of the same tags both succeed, and one of them has all the tags', async t => {
    const registry = await startRegistry(t, { databaseUrl })
    for (let round = 0; round < 8; round++) {
      const [one, two] = [unique(`one ${round}`), unique(`two ${round}`)]
      const pushes = await Promise.all([
        putTagged('cross', one, tags, { url: registry.url }),
        putTagged('cross', two, tags.toReversed(), { url: registry.url }),
        putTagged('cross', one, tags.toReversed(), { url: registry.url }),
        putTagged('cross', two, tags, { url: registry.url }),
      ])
      t.same(
        pushes.map(({ status }) => status),
        [201, 201, 201, 201],
      )
      const [found, ...others] = await digestsOf('cross')
      t.same(others, [], `round ${round}`)
      t.ok(found === one.digest || found === two.digest)
    }
  })

  await t.test('tags that move away from a manifest while it is deleted stay where they went', async t => {
    const registry = await startRegistry(t, { databaseUrl })
    for (let round = 0; round < 8; round++) {
      const [old, next] = [unique(`old ${round}`), unique(`next ${round}`)]
      await putTagged('delete', old, tags.toReversed())
      const responses = await Promise.all([
        putTagged('delete', next, tags, { url: registry.url }),
        fetch(`${registry.url}/v2/delete/manifests/${old.digest}`, { method: 'DELETE' }),
      ])
      t.same(
        responses.map(({ status }) => status),
        [201, 202],
      )
      t.same(await digestsOf('delete'), [next.digest], `round ${round}`)
      t.equal(await digestAt(url, 'delete', old.digest), undefined)
    }
  })

  const text = 'select deadlocks from pg_stat_database where datname = current_database()'
  t.match(await database.row(statement('test.deadlocks', text)), { deadlocks: 0 })
})
