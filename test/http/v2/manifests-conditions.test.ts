import t from 'tap'
import { type Content, image, index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { digestAt, errorsOf, pushImage, pushManifest, putManifest, refusalOf } from './requests.ts'

const { url } = await startRegistry(t)

/** A manifest unlike any other, which needs nothing in its repository. */
function unique(name: string): Content {
  return index([], { annotations: { name } })
}

function put(repository: string, tag: string, manifest: Content, headers: Record<string, string>): Promise<Response> {
  return putManifest(url, repository, tag, { ...manifest, headers })
}

function create(manifest: Content): Promise<Response> {
  return put('create', 'v1', manifest, { 'if-none-match': '*' })
}

t.test('[84] If-None-Match: * sets a tag only where there is none', async t => {
  const [one, two] = [unique('one'), unique('two')]
  t.equal((await create(one)).status, 201)
  const refused = await create(two)
  t.equal(refused.status, 412)
  t.match(await errorsOf(refused), [{ code: 'MANIFEST_INVALID', message: new RegExp(`points to ${one.digest}`) }])
  t.equal(await refusalOf(await create(one)), '412 MANIFEST_INVALID', 'also with the manifest that it has')
  t.equal(await digestAt(url, 'create', 'v1'), one.digest)
  t.equal(await digestAt(url, 'create', two.digest), undefined, 'nothing is kept of a refused push')

  await fetch(`${url}/v2/create/manifests/v1`, { method: 'DELETE' })
  t.equal((await create(two)).status, 201, 'a deleted tag is none')
})

function swap(from: string, to: Content): Promise<Response> {
  return put('swap', 'v1', to, { 'if-match': from })
}

t.test('[84] If-Match moves a tag only from where the client knows it to be', async t => {
  const [one, two, three] = [unique('a'), unique('b'), unique('c')]
  await pushManifest(url, 'swap', 'v1', one)
  t.equal((await swap(`"${one.digest}"`, two)).status, 201)
  const refused = await swap(`"${one.digest}"`, three)
  t.equal(refused.status, 412)
  t.match(await errorsOf(refused), [{ code: 'MANIFEST_INVALID', message: new RegExp(`points to ${two.digest}`) }])
  t.equal(await digestAt(url, 'swap', 'v1'), two.digest)
  t.equal(await digestAt(url, 'swap', three.digest), undefined)
  t.equal((await swap(`"${one.digest}", "${two.digest}"`, three)).status, 201, 'one of several')
  t.equal((await swap(three.digest, one)).status, 201, 'without the quotes')
  t.equal((await swap('*', two)).status, 201, 'any')
})

t.test('[84] the ETag of a pull is what If-Match wants', async t => {
  const one = image()
  await pushImage(url, 'etag', one, 'v1')
  const pulled = await fetch(`${url}/v2/etag/manifests/v1`)
  const etag = pulled.headers.get('etag') ?? ''
  await pulled.arrayBuffer()
  t.equal((await put('etag', 'v1', unique('next'), { 'if-match': etag })).status, 201)
  t.equal((await put('etag', 'v1', unique('late'), { 'if-match': etag })).status, 412)
})

t.test('[84] If-Match never makes a tag', async t => {
  await pushManifest(url, 'absent', 'other', unique('other'))
  for (const match of ['*', `"${unique('other').digest}"`, '"x"', ',']) {
    for (const repository of ['absent', 'absent-as-a-whole']) {
      const refused = await put(repository, 'v1', unique('x'), { 'if-match': match })
      t.equal(await refusalOf(refused), '412 MANIFEST_INVALID', `${repository} ${match}`)
      t.equal(await digestAt(url, repository, 'v1'), undefined)
    }
  }
  t.equal(await refusalOf(await fetch(`${url}/v2/absent-as-a-whole/tags/list`)), '404 NAME_UNKNOWN')
})

function unless(digest: string, manifest: Content): Promise<Response> {
  return put('unless', 'v1', manifest, { 'if-none-match': `"${digest}"` })
}

t.test('[84] If-None-Match with digests keeps a tag that points to one of them', async t => {
  const [one, two] = [unique('1'), unique('2')]
  t.equal((await unless(one.digest, one)).status, 201, 'absent')
  t.equal(await refusalOf(await unless(one.digest, two)), '412 MANIFEST_INVALID')
  t.equal((await unless(two.digest, two)).status, 201)
  t.equal(await digestAt(url, 'unless', 'v1'), two.digest)
})

t.test('[84] both conditions have to hold', async t => {
  const [one, two] = [unique('both 1'), unique('both 2')]
  await pushManifest(url, 'both', 'v1', one)
  const quoted = `"${one.digest}"`
  t.equal((await put('both', 'v1', two, { 'if-match': quoted, 'if-none-match': '*' })).status, 412)
  t.equal((await put('both', 'v1', two, { 'if-match': quoted, 'if-none-match': quoted })).status, 412)
  t.equal((await put('both', 'v1', two, { 'if-match': quoted, 'if-none-match': `"${two.digest}"` })).status, 201)
})

t.test('[84] of 50 swaps at once exactly one wins, round after round', async t => {
  await pushManifest(url, 'race', 'v1', unique('start'))
  let current = unique('start').digest
  for (let round = 0; round < 5; round++) {
    const contenders = Array.from({ length: 50 }, (_, at) => unique(`${round} ${at}`))
    const statuses = await Promise.all(
      contenders.map(async manifest => {
        const response = await put('race', 'v1', manifest, { 'if-match': `"${current}"` })
        await response.arrayBuffer()
        return response.status
      }),
    )
    const winners = contenders.filter((_, at) => statuses[at] === 201)
    t.equal(winners.length, 1, `round ${round}`)
    t.equal(statuses.filter(status => status === 412).length, 49)
    const winner = winners[0]?.digest ?? ''
    t.equal(await digestAt(url, 'race', 'v1'), winner)
    const kept = await Promise.all(contenders.map(({ digest }) => digestAt(url, 'race', digest)))
    t.same(
      kept.filter(digest => digest !== undefined),
      [winner],
      'nothing is kept of the others',
    )
    current = contenders.find(({ digest }) => digest === winner)?.digest ?? current
  }
})

t.test('[84] of 50 who make a tag at once exactly one wins, round after round', async t => {
  for (let round = 0; round < 5; round++) {
    const contenders = Array.from({ length: 50 }, (_, at) => unique(`new ${round} ${at}`))
    const responses = await Promise.all(
      contenders.map(manifest => put('first', 'v1', manifest, { 'if-none-match': '*' })),
    )
    const winners = contenders.filter((_, at) => responses[at]?.status === 201)
    t.equal(winners.length, 1)
    t.equal(responses.filter(({ status }) => status === 412).length, 49)
    t.equal(await digestAt(url, 'first', 'v1'), winners[0]?.digest)
    t.equal((await fetch(`${url}/v2/first/manifests/v1`, { method: 'DELETE' })).status, 202)
  }
})

t.test('[84] a condition is judged anew for each of many moves of one tag', async t => {
  // "Anything but x" and "whatever there is" are always true here, however often the tag moves under a push that waits.
  await pushManifest(url, 'busy', 'v1', unique('first'))
  const absent = unique('never pushed').digest
  const pushes = Array.from({ length: 100 }, (_, at) => {
    const conditions = [{ 'if-match': '*' }, { 'if-none-match': `"${absent}"` }, {}]
    return put('busy', 'v1', unique(`busy ${at}`), conditions[at % 3] ?? {})
  })
  const statuses = new Set((await Promise.all(pushes)).map(({ status }) => status))
  t.same([...statuses], [201])
})

t.test('[84] "anything but" never overwrites what it names', async t => {
  // Pushes of `sacred` without a condition race with those of others which must not replace it.
  const sacred = unique('sacred')
  for (let round = 0; round < 6; round++) {
    await fetch(`${url}/v2/sacred/manifests/v1`, { method: 'DELETE' })
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        at % 5 === 0
          ? pushManifest(url, 'sacred', 'v1', sacred)
          : put('sacred', 'v1', unique(`profane ${at}`), { 'if-none-match': `"${sacred.digest}"` }),
      ),
    )
    t.equal(await digestAt(url, 'sacred', 'v1'), sacred.digest, `round ${round}`)
  }
})

t.test('a push by digest heeds conditions on the manifest itself', async t => {
  const one = unique('by digest')
  t.equal(
    await refusalOf(await put('digest', one.digest, one, { 'if-match': '*' })),
    '412 MANIFEST_INVALID',
    'not there',
  )
  t.equal((await put('digest', one.digest, one, { 'if-none-match': '*' })).status, 201)
  t.equal(await refusalOf(await put('digest', one.digest, one, { 'if-none-match': '*' })), '412 MANIFEST_INVALID')
  t.equal((await put('digest', one.digest, one, { 'if-match': `"${one.digest}"` })).status, 201)
})

t.test('conditions are refused beside the parameter tag, and nothing moves', async t => {
  const [one, two] = [unique('tagged one'), unique('tagged two')]
  await pushManifest(url, 'both', 'v1', one)
  for (const headers of [{ 'if-match': '"x"' }, { 'if-none-match': '*' }])
    t.equal(await refusalOf(await put('both', `${two.digest}?tag=v1`, two, headers)), '400 UNSUPPORTED')
  t.equal(await digestAt(url, 'both', 'v1'), one.digest)
})

t.test('a deletion heeds conditions, of a tag and of a manifest', async t => {
  const one = unique('to delete')
  await pushManifest(url, 'gone', 'v1', one)
  const remove = (reference: string, headers: Record<string, string>) =>
    fetch(`${url}/v2/gone/manifests/${reference}`, { method: 'DELETE', headers })
  for (const reference of ['v1', one.digest]) {
    t.equal(await refusalOf(await remove(reference, { 'if-match': '"x"' })), '412 MANIFEST_INVALID')
    t.equal(await refusalOf(await remove(reference, { 'if-none-match': '*' })), '412 MANIFEST_INVALID')
  }
  t.equal(await digestAt(url, 'gone', 'v1'), one.digest)
  t.equal((await remove('v1', { 'if-match': `"${one.digest}"` })).status, 202)
  t.equal((await remove(one.digest, { 'if-match': '*' })).status, 202)
  t.equal(await digestAt(url, 'gone', one.digest), undefined)
})
