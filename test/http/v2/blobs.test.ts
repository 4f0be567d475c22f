import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { contentOf, image, imageType, randomBlob, type Content } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { has, pull, push, refusal } from './uploads-client.ts'

const registry = await startRegistry(t)
const emptyDigest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

t.test('[25] [32] GET gives the bytes and all that is to be known of them', async t => {
  const content = randomBlob(300_000)
  const { bytes, digest } = content
  await push(registry, 'pull/a', content)
  const { status, headers, body } = await pull(registry, 'pull/a', digest)
  t.equal(status, 200)
  t.ok(body.equals(bytes))
  t.match(headers, {
    'content-length': '300000',
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'docker-distribution-api-version': 'registry/2.0',
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'cache-control': 'max-age=31536000, immutable',
    'x-content-type-options': 'nosniff',
  })
  t.equal(headers['transfer-encoding'], undefined, 'never chunked')
  t.equal(headers['content-encoding'], undefined, 'never compressed')
})

t.test('[25] [26] HEAD has the headers of GET and no body', async t => {
  const content = randomBlob(300_000)
  await push(registry, 'pull/b', content)
  const get = await pull(registry, 'pull/b', content.digest)
  const head = await pull(registry, 'pull/b', content.digest, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.body.length, 0)
  const own = new Set(['date', 'x-request-id'])
  const shown = ({ headers }: typeof get) => Object.entries(headers).filter(([name]) => !own.has(name))
  t.same(shown(head), shown(get))
})

t.test('a client that would take it compressed gets the bytes as they are', async t => {
  const content = contentOf('a'.repeat(100_000), 'text/plain')
  await push(registry, 'pull/c', content)
  const answer = await pull(registry, 'pull/c', content.digest, {
    headers: { 'accept-encoding': 'gzip, br, zstd', accept: 'text/html' },
  })
  t.equal(answer.headers['content-encoding'], undefined)
  t.ok(answer.body.equals(content.bytes))
})

t.test('[26] [33] a blob of no bytes can be pulled, and its length is told as 0', async t => {
  await push(registry, 'empty/a', randomBlob(0))
  for (const method of ['GET', 'HEAD']) {
    const answer = await pull(registry, 'empty/a', emptyDigest, { method })
    t.equal(answer.status, 200)
    t.equal(answer.headers['content-length'], '0')
    t.equal(answer.headers['docker-content-digest'], emptyDigest)
    t.equal(answer.body.length, 0)
  }
})

t.test('[27] a blob that is not there is answered with 404', async t => {
  const { digest } = randomBlob()
  await push(registry, 'unknown/a', randomBlob())
  t.equal(refusal(await pull(registry, 'unknown/a', digest)), '404 BLOB_UNKNOWN')
  t.equal(refusal(await pull(registry, 'never/pushed', digest)), '404 BLOB_UNKNOWN')
  const head = await pull(registry, 'unknown/a', digest, { method: 'HEAD' })
  t.equal(head.status, 404)
  t.equal(head.body.length, 0)
})

t.test('[27] a blob that only another repository has is answered with 404, as if nobody had it', async t => {
  const content = randomBlob()
  const { digest } = content
  await push(registry, 'theirs/a', content)
  await push(registry, 'mine/a', randomBlob())
  const nobody = randomBlob().digest
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    const answers = [
      await pull(registry, 'mine/a', digest, { method }),
      await pull(registry, 'mine/a', nobody, { method }),
    ]
    for (const answer of answers) t.equal(answer.status, 404, method)
    const bodies = answers.map((answer, index) => answer.body.toString().replace([digest, nobody][index] ?? '', ''))
    t.equal(bodies[0], bodies[1])
  }
  t.equal((await pull(registry, 'theirs', digest)).status, 404, 'nor has the folder above it')
  t.ok(await has(registry, 'theirs/a', content))
})

t.test('a digest that is none, or a name that is none, is refused', async t => {
  const { digest } = randomBlob()
  for (const text of [
    'x',
    'sha256:abc',
    `sha256:${'g'.repeat(64)}`,
    digest.toUpperCase(),
    'md5:d41d8cd98f00b204e9800998ecf8427e',
  ]) {
    for (const method of ['GET', 'DELETE']) {
      t.equal(refusal(await pull(registry, 'pull/a', text, { method })), '400 DIGEST_INVALID', `${method} ${text}`)
    }
  }
  t.equal(refusal(await pull(registry, 'Pull/A', digest)), '400 NAME_INVALID')
})

t.test('[108] DELETE takes a blob out of its repository, and only there', async t => {
  const content = randomBlob()
  const { digest } = content
  await push(registry, 'delete/a', content)
  await push(registry, 'delete/b', content)
  const gone = await pull(registry, 'delete/a', digest, { method: 'DELETE' })
  t.equal(gone.status, 202)
  t.equal(gone.body.length, 0)
  for (const method of ['GET', 'HEAD']) t.equal((await pull(registry, 'delete/a', digest, { method })).status, 404)
  t.equal(refusal(await pull(registry, 'delete/a', digest, { method: 'DELETE' })), '404 BLOB_UNKNOWN', 'again')
  t.ok(await has(registry, 'delete/b', content))
  await push(registry, 'delete/a', content)
  t.ok(await has(registry, 'delete/a', content), 'and it can be pushed again')
})

t.test('[108] of many DELETEs at once one does it', async t => {
  const content = randomBlob()
  await push(registry, 'delete/c', content)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => pull(registry, 'delete/c', content.digest, { method: 'DELETE' })),
  )
  const codes = answers.map(answer => answer.status).toSorted((one, other) => one - other)
  t.same(codes, [202, ...Array.from({ length: 9 }, () => 404)])
})

t.test('[110] a blob that a manifest of the repository needs is not deleted, and the answer says which', async t => {
  const { manifest, config, layers, blobs } = image()
  for (const blob of blobs) await push(registry, 'needed/a', blob)
  for (const blob of blobs) await push(registry, 'needed/b', blob)
  await put('needed/a', manifest)
  for (const blob of [config, ...layers]) {
    const answer = await pull(registry, 'needed/a', blob.digest, { method: 'DELETE' })
    t.equal(refusal(answer), '405 UNSUPPORTED')
    t.match(answer.body.toString(), manifest.digest)
    t.ok(await has(registry, 'needed/a', blob))
    const elsewhere = await pull(registry, 'needed/b', blob.digest, { method: 'DELETE' })
    t.equal(elsewhere.status, 202, 'a repository without the manifest does not need it')
  }
  await ask(`${registry.url}/v2/needed/a/manifests/${manifest.digest}`, { method: 'DELETE' })
  for (const blob of blobs) {
    t.equal((await pull(registry, 'needed/a', blob.digest, { method: 'DELETE' })).status, 202, 'after the manifest')
  }
})

t.test('[108] where deleting is switched off it is refused, and pulling goes on', async t => {
  const { databaseUrl, root } = registry
  const content = randomBlob()
  await push(registry, 'keep/a', content)
  for (const access of [{ deletes: false }, { readOnly: true }]) {
    const keeping = await startRegistry(t, { databaseUrl, root, access })
    const answer = await pull(keeping, 'keep/a', content.digest, { method: 'DELETE' })
    t.equal(refusal(answer), '405 UNSUPPORTED')
    t.ok(await has(keeping, 'keep/a', content))
  }
})

t.test('If-None-Match: a client that has the blob is spared it', async t => {
  const content = randomBlob()
  const { digest } = content
  await push(registry, 'conditions/a', content)
  const ask = (value: string, method = 'GET') =>
    pull(registry, 'conditions/a', digest, { method, headers: { 'if-none-match': value } })
  const other = randomBlob().digest
  for (const value of [`"${digest}"`, `W/"${digest}"`, digest, '*', `"x", "${digest}"`, `"${other}" , W/"${digest}"`]) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(value, method)
      t.equal(answer.status, 304, `${method} ${value}`)
      t.equal(answer.body.length, 0)
      t.equal(answer.headers['etag'], `"${digest}"`)
      t.equal(answer.headers['docker-content-digest'], digest)
      t.equal(answer.headers['cache-control'], 'max-age=31536000, immutable')
    }
  }
  for (const value of [`"${other}"`, `"${digest.slice(0, -1)}"`, '', '""'])
    t.equal((await ask(value)).status, 200, value)
  const ranged = await pull(registry, 'conditions/a', digest, {
    headers: { 'if-none-match': `"${digest}"`, range: 'bytes=0-1' },
  })
  t.equal(ranged.status, 304, 'it comes before the Range')
})

t.test('If-Match: a client that wants another blob is told so', async t => {
  const content = randomBlob()
  const { digest } = content
  await push(registry, 'conditions/b', content)
  const ask = (value: string) => pull(registry, 'conditions/b', digest, { headers: { 'if-match': value } })
  for (const value of [`"${digest}"`, '*', `"x", "${digest}"`]) t.equal((await ask(value)).status, 200, value)
  for (const value of [`"${randomBlob().digest}"`, '"x"']) {
    const answer = await ask(value)
    t.equal(refusal(answer), '412 UNSUPPORTED', value)
    t.equal(answer.headers['cache-control'], undefined, 'nobody keeps the refusal')
  }
  const unknown = await pull(registry, 'conditions/b', randomBlob().digest, { headers: { 'if-match': '*' } })
  t.equal(unknown.status, 404, 'what is not there matches nothing')
})

t.test('other methods are refused, and told which ones there are', async t => {
  const { digest } = randomBlob()
  for (const method of ['PUT', 'POST', 'PATCH']) {
    const answer = await pull(registry, 'methods/a', digest, { method })
    t.equal(refusal(answer), '405 UNSUPPORTED')
    t.equal(answer.headers['allow'], 'DELETE, GET, HEAD')
  }
})

async function put(repository: string, { bytes, digest }: Content): Promise<void> {
  const answer = await ask(`${registry.url}/v2/${repository}/manifests/${digest}`, {
    method: 'PUT',
    headers: { 'content-type': imageType },
    body: bytes,
  })
  if (answer.status !== 201) throw new Error(`no manifest was made: ${answer.status} ${answer.body.toString()}`)
}
