import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ask } from '../../../conformance/http.ts'
import { digestOf } from '../../../server/oci/digest.ts'
import { blobKey } from '../../../server/registry/blob-keys.ts'
import { randomBlob } from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { append, begin, finish, has, offsetOf, post, pull, refusal, status } from './uploads-client.ts'

const registry = await startRegistry(t)

t.test('[40] a POST with a wrong digest is refused, and there is no blob', async t => {
  const { bytes } = randomBlob()
  const { digest } = randomBlob()
  t.equal(refusal(await post(registry, 'wrong/a', `?digest=${digest}`, bytes)), '400 DIGEST_INVALID')
  t.equal(refusal(await pull(registry, 'wrong/a', digest)), '404 BLOB_UNKNOWN')
  t.equal((await pull(registry, 'wrong/a', digestOf(bytes))).status, 404)
})

t.test('[40] a PUT with a wrong digest is refused, and the upload is as it was before', async t => {
  const { bytes, digest } = randomBlob(3000)
  const { digest: wrong } = randomBlob()
  const upload = await begin(registry, 'wrong/b')
  for (let turn = 0; turn < 2; turn++) {
    const answer = await finish(upload, wrong, bytes)
    t.equal(refusal(answer), '400 DIGEST_INVALID')
    t.match(JSON.parse(answer.body.toString()), { errors: [{ detail: { expected: wrong, actual: digest } }] })
    t.equal((await status(upload)).status, 204)
    t.equal(await offsetOf(upload), 0)
  }
  t.equal((await pull(registry, 'wrong/b', wrong)).status, 404)
  t.equal((await finish(upload, digest, bytes)).status, 201, 'the right digest with the same body')
  t.ok(await has(registry, 'wrong/b', { bytes, digest }))
})

t.test('[40] PATCH and a PUT with a wrong digest: refused, and then the right one makes the blob', async t => {
  const { bytes, digest } = randomBlob(3000)
  const { digest: wrong } = randomBlob()
  const upload = await begin(registry, 'wrong/c')
  await append(upload, bytes.subarray(0, 2000))
  t.equal(refusal(await finish(upload, wrong)), '400 DIGEST_INVALID', 'without a body')
  t.equal(refusal(await finish(upload, wrong, bytes.subarray(2000))), '400 DIGEST_INVALID', 'with the last bytes')
  t.equal(refusal(await finish(upload, digest)), '400 DIGEST_INVALID', 'the right digest, but too early')
  t.equal(await offsetOf(upload), 2000)
  t.equal((await append(upload, bytes.subarray(2000))).headers['range'], '0-2999')
  t.equal((await finish(upload, digest)).status, 201)
  t.equal((await pull(registry, 'wrong/c', wrong)).status, 404)
  t.ok(await has(registry, 'wrong/c', { bytes, digest }))
})

t.test('a lie about a digest does not harm the blob that has it', async t => {
  const content = randomBlob(5000)
  await post(registry, 'lie/a', `?digest=${content.digest}`, content.bytes)
  const other = randomBytes(5000)
  t.equal(refusal(await post(registry, 'lie/b', `?digest=${content.digest}`, other)), '400 DIGEST_INVALID')
  t.equal(refusal(await finish(await begin(registry, 'lie/a'), content.digest, other)), '400 DIGEST_INVALID')
  t.ok(await has(registry, 'lie/a', content))
})

t.test('[41] an algorithm that is not known is refused, already when it is announced', async t => {
  const upload = await begin(registry, 'algorithm/a')
  await append(upload, Buffer.from('content'))
  for (const algorithm of ['md5', 'sha1', 'sha384', 'SHA256', 'sha256 ', '', 'sha512/256', '__proto__', 'toString']) {
    const query = encodeURIComponent(algorithm)
    t.equal(refusal(await post(registry, 'algorithm/a', `?digest-algorithm=${query}`)), '400 DIGEST_INVALID', algorithm)
    const digest = `${algorithm}:${'0'.repeat(64)}`
    t.equal(refusal(await finish(upload, digest)), '400 DIGEST_INVALID', digest)
    t.equal(refusal(await post(registry, 'algorithm/a', `?digest=${encodeURIComponent(digest)}`)), '400 DIGEST_INVALID')
  }
  t.equal((await finish(upload, digestOf(Buffer.from('content')))).status, 201)
})

t.test('[40] a digest that is none is refused, and the upload goes on', async t => {
  const { bytes, digest } = randomBlob()
  const upload = await begin(registry, 'malformed/a')
  const encoded = digest.slice('sha256:'.length)
  const wrong = ['', 'x', encoded, `sha256:`, `sha256:${encoded}0`, `sha256:${encoded.slice(1)}`, `sha512:${encoded}`]
  for (const text of [
    ...wrong,
    `sha256:${encoded.toUpperCase()}`,
    `sha256:${'g'.repeat(64)}`,
    `${digest}\n`,
    '../../x',
  ]) {
    t.equal(refusal(await finish(upload, text, bytes)), '400 DIGEST_INVALID', text)
    t.equal(
      refusal(await post(registry, 'malformed/a', `?digest=${encodeURIComponent(text)}`, bytes)),
      '400 DIGEST_INVALID',
    )
  }
  t.equal(refusal(await ask(upload, { method: 'PUT', body: bytes })), '400 DIGEST_INVALID', 'no digest at all')
  t.equal(await offsetOf(upload), 0)
  t.equal((await finish(upload, digest, bytes)).status, 201)
})

t.test('[42] a sha512 digest closes an upload for which nothing was announced', async t => {
  const { bytes, digest } = randomBlob(300_000, 'sha512')
  t.equal(digest.length, 'sha512:'.length + 128)
  const ways: Record<string, () => Promise<number>> = {
    'in a PUT': async () => (await finish(await begin(registry, 'sha512/a'), digest, bytes)).status,
    'after a PATCH': async () => {
      const upload = await begin(registry, 'sha512/a')
      await append(upload, bytes)
      return (await finish(upload, digest)).status
    },
    'after two, with the last bytes': async () => {
      const upload = await begin(registry, 'sha512/a')
      await append(upload, bytes.subarray(0, 1000))
      await append(upload, bytes.subarray(1000, 2000))
      return (await finish(upload, digest, bytes.subarray(2000))).status
    },
    'in a POST': async () => (await post(registry, 'sha512/a', `?digest=${digest}`, bytes)).status,
  }
  for (const [title, way] of Object.entries(ways)) {
    t.equal(await way(), 201, title)
    const found = await pull(registry, 'sha512/a', digest)
    t.equal(found.headers['docker-content-digest'], digest)
    t.ok(found.body.equals(bytes))
  }
  t.equal((await pull(registry, 'sha512/a', digestOf(bytes))).status, 404, 'its sha256 is another address')
})

t.test('[43] an announced sha512 is followed while the bytes come: the store is not read again', async t => {
  let readings = 0
  const counting = await startRegistry(t, {
    wrapDriver: driver => ({
      ...driver,
      readUpload(state) {
        readings++
        return driver.readUpload(state)
      },
    }),
  })
  const { bytes, digest } = randomBlob(300_000, 'sha512')
  const push = async (query: string) => {
    const upload = await begin(counting, 'sha512/b', query)
    await append(upload, bytes.subarray(0, 1000))
    await append(upload, bytes.subarray(1000, 2000))
    return (await finish(upload, digest, bytes.subarray(2000))).status
  }
  t.equal(await push('?digest-algorithm=sha512'), 201)
  t.equal(readings, 0)
  t.equal(await push('?digest-algorithm=sha256'), 201, 'an announcement binds nobody')
  t.equal(readings, 1, 'but then it is read')
  t.ok(await has(counting, 'sha512/b', { bytes, digest }))
})

t.test('[43] an upload announced as sha512 can be closed with a sha256 digest', async t => {
  const { bytes, digest } = randomBlob(300_000)
  const upload = await begin(registry, 'sha512/c', '?digest-algorithm=sha512')
  await append(upload, bytes.subarray(0, 1000))
  t.equal((await finish(upload, digest, bytes.subarray(1000))).status, 201)
  t.ok(await has(registry, 'sha512/c', { bytes, digest }))
})

t.test('a wrong guess of the algorithm in one PUT does not spoil the next', async t => {
  const { bytes, digest } = randomBlob(300_000)
  const { digest: wrong } = randomBlob(10, 'sha512')
  const upload = await begin(registry, 'sha512/d')
  t.equal(refusal(await finish(upload, wrong, bytes)), '400 DIGEST_INVALID')
  await append(upload, bytes.subarray(0, 1000))
  t.equal(refusal(await finish(upload, wrong, bytes.subarray(1000))), '400 DIGEST_INVALID')
  await append(upload, bytes.subarray(1000))
  t.equal((await finish(upload, digest)).status, 201)
})

t.test('one blob under both of its addresses is two objects', async t => {
  const bytes = randomBytes(1000)
  const digests = [digestOf(bytes), digestOf(bytes, 'sha512')]
  for (const digest of digests) t.equal((await post(registry, 'both/a', `?digest=${digest}`, bytes)).status, 201)
  for (const digest of digests) {
    t.ok(await has(registry, 'both/a', { bytes, digest }))
    t.ok(existsSync(join(registry.root, blobKey(digest))))
  }
  await ask(`${registry.url}/v2/both/a/blobs/${digests[0] ?? ''}`, { method: 'DELETE' })
  t.ok(await has(registry, 'both/a', { bytes, digest: digestOf(bytes, 'sha512') }))
})
