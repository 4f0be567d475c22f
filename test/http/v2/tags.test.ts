import t from 'tap'
import { statement } from '../../../server/metadata/database.ts'
import { index, indexType } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { errorsOf, isRecord, pushManifest, putManifest, refusalOf, statusOf } from './requests.ts'

const { url, database } = await startRegistry(t)
const empty = index([])

/** Sets tags to one manifest. */
async function setTags(repository: string, tags: readonly string[]): Promise<void> {
  for (const tag of tags) await pushManifest(url, repository, tag, empty)
}

interface Listed {
  status: number
  name: unknown
  tags: unknown[]
  /** Where the next page is. */
  next: string | undefined
}

/** A page of a list of tags. */
async function list(address: string): Promise<Listed> {
  const response = await fetch(address)
  const body: unknown = await response.json()
  if (!isRecord(body) || !Array.isArray(body['tags'])) throw new Error(`no list: ${JSON.stringify(body)}`)
  const link = response.headers.get('link')
  const next = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1]
  if (link !== null && next === undefined) throw new Error(`not a link: ${link}`)
  return { status: response.status, name: body['name'], tags: body['tags'], next }
}

const listOf = (repository: string, query = '') => list(`${url}/v2/${repository}/tags/list${query}`)

/** All pages, from the first to the one without a link. */
async function follow(first: string): Promise<unknown[][]> {
  const pages: unknown[][] = []
  for (let next: string | undefined = first; next !== undefined;) {
    const page: Listed = await list(next)
    pages.push(page.tags)
    next = page.next
    if (pages.length > 1000) throw new Error('the pages come to no end')
  }
  return pages
}

/** Every character that may begin a tag, and every one that may stand in it, in no order. */
const odd = [
  'a',
  'a-b',
  'a.b',
  'a_b',
  'ab',
  'A',
  'B',
  '_',
  '_a',
  '0',
  '9',
  '10',
  'Z',
  'z',
  'a-',
  'a.',
  'a0',
  'aA',
  'v1.10',
  'v1.9',
]
const byBytes = odd.toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))

t.test('[85] a list has the name and the tags of its repository', async t => {
  await setTags('team/app', ['v1', 'latest'])
  await setTags('team/app/sub', ['other'])
  const response = await fetch(`${url}/v2/team/app/tags/list`)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/json/)
  t.same(await response.json(), { name: 'team/app', tags: ['latest', 'v1'] })
})

t.test('[85] the list of an unknown repository is 404', async t => {
  t.equal(await refusalOf(await fetch(`${url}/v2/unknown/tags/list`)), '404 NAME_UNKNOWN')
  t.equal(await refusalOf(await fetch(`${url}/v2/unknown/tags/list?n=0`)), '404 NAME_UNKNOWN')
})

t.test('[6] HEAD of a list is GET without the body', async t => {
  await setTags('head', ['a', 'b', 'c'])
  const address = `${url}/v2/head/tags/list?n=2`
  const [get, head] = [await fetch(address), await fetch(address, { method: 'HEAD' })]
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
  await get.arrayBuffer()
  for (const name of ['content-type', 'content-length', 'link']) t.equal(head.headers.get(name), get.headers.get(name))
})

t.test('[86] tags come in the order of their bytes, whatever order they were pushed in', async t => {
  await setTags('order', odd)
  t.same((await listOf('order')).tags, byBytes)
  for (const n of [1, 2, 3, 7]) t.same((await follow(`${url}/v2/order/tags/list?n=${n}`)).flat(), byBytes, `n=${n}`)
})

t.test('[87] n caps a page, and fewer come only at the end', async t => {
  await setTags('pages', ['a', 'b', 'c', 'd', 'e'])
  t.same(await follow(`${url}/v2/pages/tags/list?n=2`), [['a', 'b'], ['c', 'd'], ['e']])
  t.same(await follow(`${url}/v2/pages/tags/list?n=5`), [['a', 'b', 'c', 'd', 'e']], 'no empty page behind the last')
  t.same(await follow(`${url}/v2/pages/tags/list?n=4`), [['a', 'b', 'c', 'd'], ['e']])
  t.same(await follow(`${url}/v2/pages/tags/list?n=6`), [['a', 'b', 'c', 'd', 'e']])
})

t.test('[87] an n above the bound of the registry is cut to it, and Link leads on', async t => {
  const bounded = await startRegistry(t, { tagsMaxEntries: 3 })
  const tags = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (const tag of tags) await pushManifest(bounded.url, 'bounded', tag, empty)
  for (const n of ['4', '1000', '999999999', '1000000000', '9007199254740993', '9'.repeat(400)]) {
    const pages = await follow(`${bounded.url}/v2/bounded/tags/list?n=${n}`)
    t.same(pages, [['a', 'b', 'c'], ['d', 'e', 'f'], ['g']], `n=${n.slice(0, 20)}`)
  }
})

t.test('[88] n=0 is an empty list without a Link', async t => {
  await setTags('zero', ['a', 'b'])
  for (const query of ['?n=0', '?n=0&last=a', '?n=00'])
    t.match(await listOf('zero', query), { status: 200, name: 'zero', tags: [], next: undefined }, query)
})

t.test('[89] last is left out itself, need not exist, and works without n', async t => {
  await setTags('last', ['a', 'b', 'd', 'e'])
  const after: [query: string, tags: string[]][] = [
    ['?last=a', ['b', 'd', 'e']],
    ['?last=c', ['d', 'e']],
    ['?last=', ['a', 'b', 'd', 'e']],
    ['?last=e', []],
    ['?last=zzz', []],
    ['?last=A', ['a', 'b', 'd', 'e']],
    ['?n=1&last=c', ['d']],
    ['?last=a&n=2', ['b', 'd']],
    ['?n=2&last=d', ['e']],
    // What can be no tag has its place in the order all the same.
    ['?last=%20', ['a', 'b', 'd', 'e']],
    ['?last=b%2F..%2F', ['d', 'e']],
    ['?last=b%27%3B--', ['d', 'e']],
    ['?last=%F0%9F%98%80', []],
    [`?last=${'b'.repeat(5000)}`, ['d', 'e']],
  ]
  for (const [query, tags] of after) t.same((await listOf('last', query)).tags, tags, query.slice(0, 40))
})

t.test('[89] a last that is not UTF-8 or has a NUL is no trouble', async t => {
  await setTags('hostile', ['a', 'b'])
  for (const last of ['%FF', '%C3', '%ED%A0%80', 'a%FFb', '%', '%zz', '%C0%80']) {
    const { status } = await listOf('hostile', `?last=${last}`)
    t.equal(status, 200, last)
  }
  t.equal(await refusalOf(await fetch(`${url}/v2/hostile/tags/list?last=a%00`)), '400 UNSUPPORTED')
})

t.test('[90] Link is the next page in angle brackets, with rel="next", and can be followed as it is', async t => {
  await setTags('link', ['a', 'b', 'c'])
  const response = await fetch(`${url}/v2/link/tags/list?n=2`)
  await response.arrayBuffer()
  t.equal(response.headers.get('link'), `<${url}/v2/link/tags/list?n=2&last=b>; rel="next"`)
  t.equal((await fetch(`${url}/v2/link/tags/list?n=2&last=b`)).headers.get('link'), null)
})

t.test('[90] a tag that is deleted between two pages does not disturb the next', async t => {
  await setTags('between', ['a', 'b', 'c', 'd'])
  const first = await listOf('between', '?n=2')
  await fetch(`${url}/v2/between/manifests/b`, { method: 'DELETE' })
  await setTags('between', ['aa', 'ca'])
  t.same((await list(first.next ?? '')).tags, ['c', 'ca'])
})

t.test('[91] a repository without tags has an empty list, not null', async t => {
  await pushManifest(url, 'untagged', empty.digest, empty)
  t.equal(await (await fetch(`${url}/v2/untagged/tags/list`)).text(), '{"name":"untagged","tags":[]}')
})

t.test('[92] without n all tags come in one page, more than the largest n gives', async t => {
  const bounded = await startRegistry(t, { tagsMaxEntries: 3 })
  const tags = ['a', 'b', 'c', 'd', 'e']
  for (const tag of tags) await pushManifest(bounded.url, 'all', tag, empty)
  t.same(await follow(`${bounded.url}/v2/all/tags/list`), [tags])
})

t.test('an n that is no number is refused', async t => {
  await setTags('bad', ['a'])
  for (const n of ['', '-1', '1.5', '1e3', 'x', '0x10', '+1', '%20', '1%20', '%D9%A3', 'NaN', 'Infinity', '1%00']) {
    const response = await fetch(`${url}/v2/bad/tags/list?n=${n}`)
    t.equal(response.status, 400, n)
    t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /n must be a whole number/ }])
  }
})

t.test('moving and deleting tags changes the list at once', async t => {
  await setTags('live', ['a', 'b'])
  const other = index([], { annotations: { other: '' } })
  await pushManifest(url, 'live', 'a', other)
  t.same((await listOf('live')).tags, ['a', 'b'], 'a tag that moved stands there once')
  await fetch(`${url}/v2/live/manifests/a`, { method: 'DELETE' })
  t.same((await listOf('live')).tags, ['b'])
  await fetch(`${url}/v2/live/manifests/${empty.digest}`, { method: 'DELETE' })
  t.same((await listOf('live')).tags, [])
})

t.test('repositories named as the words of the paths have lists of their own', async t => {
  for (const name of [
    'tags',
    'tags/list',
    'manifests/tags',
    'blobs/uploads/tags/list',
    'v2/manifests/x',
    'referrers/a',
  ]) {
    const push = await putManifest(url, name, 'v1', { ...empty, mediaType: indexType })
    t.equal(push.status, 201, name)
    t.match(await listOf(name), { name, tags: ['v1'] })
    t.equal(await statusOf(`${url}/v2/${name}/manifests/v1`), 200)
  }
})

t.test('more tags than come in one page at all still lead on by Link', async t => {
  await setTags('very-many', ['zz'])
  const fill = statement(
    'test.fill_tags',
    `insert into tags (repository_id, name, manifest_id)
     select t.repository_id, 't' || lpad(i::text, 7, '0'), t.manifest_id
       from generate_series(1, 100000) i, tags t join repositories r on r.id = t.repository_id
      where r.name = 'very-many' and t.name = 'zz'`,
  )
  t.equal(await database.change(fill), 100_000)
  const pages = await follow(`${url}/v2/very-many/tags/list`)
  t.same(
    pages.map(page => page.length),
    [100_000, 1],
  )
  t.same(pages.at(-1), ['zz'])
})
