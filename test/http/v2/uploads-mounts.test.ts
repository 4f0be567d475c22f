import t from 'tap'
import { digestOf } from '../../../server/oci/digest.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { append, begin, finish, has, locationOf, post, pull, push, refusal, status } from './uploads-client.ts'

const registry = await startRegistry(t)

t.test('[59] a mount is answered with 201 and the Location of the blob, which can be pulled', async t => {
  const content = randomBlob()
  const { digest } = content
  await push(registry, 'source/a', content)
  const made = await post(registry, 'target/a', `?mount=${digest}&from=source/a`)
  t.equal(made.status, 201)
  t.equal(made.headers['location'], `${registry.url}/v2/target/a/blobs/${digest}`)
  t.equal(made.headers['docker-content-digest'], digest)
  t.equal(made.headers['docker-upload-uuid'], undefined, 'no upload was begun')
  t.ok(await has(registry, 'target/a', content))
  t.equal((await post(registry, 'target/a', `?mount=${digest}&from=source/a`)).status, 201, 'again')
  t.equal((await post(registry, 'source/a', `?mount=${digest}&from=source/a`)).status, 201, 'from itself')
  t.equal((await post(registry, 'third/a', `?mount=${digest}&from=target%2Fa`)).status, 201, 'from a mounted one')
})

t.test('[59] a mounted blob stays when the source loses it', async t => {
  const content = randomBlob()
  await push(registry, 'source/b', content)
  await post(registry, 'target/b', `?mount=${content.digest}&from=source/b`)
  const gone = await pull(registry, 'source/b', content.digest, { method: 'DELETE' })
  t.equal(gone.status, 202)
  t.ok(await has(registry, 'target/b', content))
  const late = await post(registry, 'third/b', `?mount=${content.digest}&from=source/b`)
  t.equal(late.status, 202, 'but can not be mounted from there any more')
})

t.test('[60] what can not be mounted begins an ordinary upload', async t => {
  const content = randomBlob()
  const { bytes, digest } = content
  await push(registry, 'source/c', content)
  const unknown = randomBlob().digest
  const queries = {
    'a digest that nobody has': `?mount=${unknown}&from=source/c`,
    'a digest that nobody has, from anywhere': `?mount=${unknown}`,
    'a repository that is not there': `?mount=${digest}&from=not/there`,
    'a repository without the blob': `?mount=${digest}&from=target/a`,
    'a name that can not be one': `?mount=${digest}&from=Not%20a%20name`,
    'a name of bytes that are no text': `?mount=${digest}&from=%ff%fe`,
    'a name that leads out': `?mount=${digest}&from=../source/c`,
    'no name': `?mount=${digest}&from=`,
    'a name too long': `?mount=${digest}&from=${'a'.repeat(300)}`,
  }
  for (const [title, query] of Object.entries(queries)) {
    const answer = await post(registry, 'target/c', query)
    t.equal(answer.status, 202, title)
    t.equal(answer.headers['range'], '0-0')
    t.equal((await status(locationOf(answer))).status, 204)
    t.equal((await pull(registry, 'target/c', digest)).status, 404, 'nothing was mounted')
  }
  const answer = await post(registry, 'target/c', queries['a repository that is not there'])
  await append(locationOf(answer), bytes)
  t.equal((await finish(locationOf(answer), digest)).status, 201)
  t.ok(await has(registry, 'target/c', content))
})

t.test('a mount of what is no digest is refused', async t => {
  for (const text of ['', 'x', 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e']) {
    t.equal(refusal(await post(registry, 'target/d', `?mount=${text}&from=source/c`)), '400 DIGEST_INVALID', text)
  }
})

t.test('[61] without a source the blob is mounted from whichever repository has it', async t => {
  const content = randomBlob()
  await push(registry, 'source/e', content)
  const made = await post(registry, 'target/e', `?mount=${content.digest}`)
  t.equal(made.status, 201)
  t.ok(await has(registry, 'target/e', content))
})

t.test('[61] a blob that every repository has lost is not mounted', async t => {
  const content = randomBlob()
  await push(registry, 'source/f', content)
  await pull(registry, 'source/f', content.digest, { method: 'DELETE' })
  t.equal((await post(registry, 'target/f', `?mount=${content.digest}`)).status, 202)
})

t.test('[63] a mount may come with the algorithm, for the upload that follows when it fails', async t => {
  const content = randomBlob(100_000, 'sha512')
  const { bytes, digest } = content
  const begun = await post(registry, 'source/g', `?mount=${digest}&from=not/there&digest-algorithm=sha512`)
  t.equal(begun.status, 202)
  await append(locationOf(begun), bytes)
  t.equal((await finish(locationOf(begun), digest)).status, 201)
  const mounted = await post(registry, 'target/g', `?mount=${digest}&from=source/g&digest-algorithm=sha512`)
  t.equal(mounted.status, 201)
  t.ok(await has(registry, 'target/g', content))
  const unknown = await post(registry, 'target/g', `?mount=${digest}&from=source/g&digest-algorithm=md5`)
  t.equal(refusal(unknown), '400 DIGEST_INVALID')
})

t.test('a mount that fails does not take the body for the blob', async t => {
  const { bytes, digest } = randomBlob()
  const begun = await post(registry, 'target/h', `?mount=${digest}&from=not/there&digest=${digest}`, bytes)
  t.equal(begun.status, 202)
  t.equal((await finish(locationOf(begun), digest, bytes)).status, 201)
})

t.test('many mounts of one blob at once all succeed', async t => {
  const content = randomBlob()
  await push(registry, 'source/i', content)
  const targets = Array.from({ length: 20 }, (_, index) => `target/i${index % 5}`)
  const made = await Promise.all(targets.map(name => post(registry, name, `?mount=${content.digest}&from=source/i`)))
  t.same(
    made.map(answer => answer.status),
    targets.map(() => 201),
  )
  for (const name of new Set(targets)) t.ok(await has(registry, name, content))
})

t.test('mounts and the deletion of their source at once leave each target with the blob or with an upload', async t => {
  for (let turn = 0; turn < 10; turn++) {
    const content = randomBlob()
    await push(registry, 'source/j', content)
    const [mounted, deleted] = await Promise.all([
      post(registry, `target/j${turn}`, `?mount=${content.digest}&from=source/j`),
      pull(registry, 'source/j', content.digest, { method: 'DELETE' }),
    ])
    t.equal(deleted.status, 202)
    t.ok([201, 202].includes(mounted.status))
    t.equal(await has(registry, `target/j${turn}`, content), mounted.status === 201)
  }
})

t.test('a mount does not close the upload that was begun for the same blob', async t => {
  const content = randomBlob()
  await push(registry, 'source/k', content)
  const upload = await begin(registry, 'target/k')
  t.equal((await post(registry, 'target/k', `?mount=${content.digest}&from=source/k`)).status, 201)
  t.equal(refusal(await finish(upload, content.digest)), '400 DIGEST_INVALID', 'an upload without bytes is no proof')
  t.equal((await finish(upload, digestOf(content.bytes), content.bytes)).status, 201)
})
