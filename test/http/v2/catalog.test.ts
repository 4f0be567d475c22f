import t from 'tap'
import { index } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { errorsOf, isRecord, pushBlob, pushManifest, refusalOf, statusOf } from './requests.ts'

const { url } = await startRegistry(t)
const empty = index([])

/** In the order of their bytes: `-` and `.` come before `/`, digits before letters. */
const names = ['0', 'a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'a_b', 'aa', 'b', 'z/y/x']

/** A page of the catalog, and where the next one is. */
async function page(address: string): Promise<{ repositories: unknown[]; next: string | undefined }> {
  const response = await fetch(address)
  const body: unknown = await response.json()
  if (response.status !== 200 || !isRecord(body) || !Array.isArray(body['repositories']))
    throw new Error(`${response.status}: no catalog: ${JSON.stringify(body)}`)
  const link = response.headers.get('link')
  const next = link === null ? undefined : /^<([^>]+)>; rel="next"$/.exec(link)?.[1]
  if (link !== null && next === undefined) throw new Error(`not a link: ${link}`)
  return { repositories: body['repositories'], next }
}

/** All pages, from the first to the one without a link. */
async function follow(first: string): Promise<unknown[][]> {
  const pages: unknown[][] = []
  for (let next: string | undefined = first; next !== undefined;) {
    const { repositories, next: further }: { repositories: unknown[]; next: string | undefined } = await page(next)
    pages.push(repositories)
    next = further
    if (pages.length > 1000) throw new Error('the pages come to no end')
  }
  return pages
}

t.test('[93] the catalog of a new registry is an empty list', async t => {
  const response = await fetch(`${url}/v2/_catalog`)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/json/)
  t.equal(await response.text(), '{"repositories":[]}')
})

t.test('[93] all repositories are in the catalog, in the order of their bytes', async t => {
  for (const name of names.toReversed()) await pushManifest(url, name, 'v1', empty)
  t.same(await page(`${url}/v2/_catalog`), { repositories: names, next: undefined })
})

t.test('[93] n caps a page, and Link leads through all of them', async t => {
  for (const n of [1, 2, 3, 10, 11, 12]) {
    const pages = await follow(`${url}/v2/_catalog?n=${n}`)
    t.same(pages.flat(), names, `n=${n}`)
    t.ok(pages.every((one, at) => one.length === n || (at === pages.length - 1 && one.length > 0)))
  }
})

t.test('[93] a name with a slash comes back encoded in Link, and the link works', async t => {
  const response = await fetch(`${url}/v2/_catalog?n=5`)
  await response.arrayBuffer()
  t.equal(response.headers.get('link'), `<${url}/v2/_catalog?n=5&last=a%2Fb>; rel="next"`)
  t.same((await page(`${url}/v2/_catalog?n=2&last=a%2Fb`)).repositories, ['a/b/c', 'a0'])
  t.same((await page(`${url}/v2/_catalog?n=2&last=a/b`)).repositories, ['a/b/c', 'a0'], 'as registry:2 writes it')
})

t.test('[93] last need not exist, and works without n', async t => {
  t.same((await page(`${url}/v2/_catalog?last=a/c`)).repositories, ['a0', 'a_b', 'aa', 'b', 'z/y/x'])
  t.same((await page(`${url}/v2/_catalog?last=zzz`)).repositories, [])
  t.same((await page(`${url}/v2/_catalog?last=`)).repositories, names)
  for (const last of ['%FF', '%C3', '%', '%zz']) t.equal(await statusOf(`${url}/v2/_catalog?last=${last}`), 200, last)
  t.equal(await refusalOf(await fetch(`${url}/v2/_catalog?last=a%00`)), '400 UNSUPPORTED')
})

t.test('[93] n=0 is an empty list without a Link, and an n that is no number is refused', async t => {
  t.same(await page(`${url}/v2/_catalog?n=0`), { repositories: [], next: undefined })
  for (const n of ['', '-1', '1.5', 'x', '1e3']) {
    const response = await fetch(`${url}/v2/_catalog?n=${n}`)
    t.equal(response.status, 400, n)
    t.match(await errorsOf(response), [{ code: 'UNSUPPORTED', message: /n must be a whole number/ }])
  }
})

t.test('[93] an n above the bound is cut to it, as is no n at all, and Link leads on', async t => {
  const bounded = await startRegistry(t, { catalogMaxEntries: 4 })
  for (const name of names) await pushManifest(bounded.url, name, 'v1', empty)
  for (const query of ['', '?n=5', '?n=1000', `?n=${'9'.repeat(400)}`]) {
    const pages = await follow(`${bounded.url}/v2/_catalog${query}`)
    t.same(pages, [names.slice(0, 4), names.slice(4, 8), names.slice(8)], query.slice(0, 20))
  }
})

t.test('[93] a repository is in the catalog from its first blob on, and when its tags are gone', async t => {
  await pushBlob(url, 'zz-blob-only', { ...empty, mediaType: 'application/octet-stream' })
  await pushManifest(url, 'zz-emptied', 'v1', empty)
  await fetch(`${url}/v2/zz-emptied/manifests/${empty.digest}`, { method: 'DELETE' })
  t.same((await page(`${url}/v2/_catalog?last=zz`)).repositories, ['zz-blob-only', 'zz-emptied'])
})

t.test('[6] HEAD of the catalog is GET without the body', async t => {
  const [get, head] = [await fetch(`${url}/v2/_catalog?n=2`), await fetch(`${url}/v2/_catalog?n=2`, { method: 'HEAD' })]
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
  await get.arrayBuffer()
  for (const name of ['content-type', 'content-length', 'link']) t.equal(head.headers.get(name), get.headers.get(name))
})

t.test('[94] extensions are not offered, and their reserved names are no repositories', async t => {
  t.equal(await refusalOf(await fetch(`${url}/v2/_oci/ext/discover`)), '404 UNSUPPORTED')
  for (const name of ['_oci', '_catalog', '_docker', '_oci/ext'])
    t.equal(await refusalOf(await fetch(`${url}/v2/${name}/tags/list`)), '400 NAME_INVALID', name)
})
