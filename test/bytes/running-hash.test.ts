import { open } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Filled } from '../../server/bytes/body.ts'
import { createHashThreads } from '../../server/bytes/hash-threads.ts'
import { beginHash, toThread } from '../../server/bytes/running-hash.ts'
import { digestOf } from '../../server/oci/digest.ts'

function filled(text: string): Filled {
  const bytes = Buffer.from(text)
  const buffer = new Uint8Array(new SharedArrayBuffer(bytes.length + 2))
  buffer.set(bytes, 2)
  return { buffer, pieces: [2, bytes.length], length: bytes.length, last: false, release() {} }
}

const sha256 = (text: string) => digestOf(Buffer.from(text), 'sha256')

t.test('a hash begins here, and its copies go their own way', async t => {
  const hash = beginHash('sha256')
  t.match(hash, { algorithm: 'sha256', threaded: false })
  await hash.update(filled('one'))
  const copy = hash.copy()
  await copy.update(filled(' and two'))
  t.equal(await hash.digest(), sha256('one'))
  t.equal(await copy.digest(), sha256('one and two'))
  await hash.update(filled(' more'))
  t.equal(await hash.digest(), sha256('one more'))
})

t.test('a hash of nothing moves to a thread, and can be copied there', async t => {
  const threads = createHashThreads()
  const hash = await toThread(beginHash('sha512'), threads, { length: 0, fd: undefined })
  t.match(hash, { algorithm: 'sha512', threaded: true })
  await hash.update(filled('one'))
  const copy = hash.copy()
  t.equal(copy.threaded, true)
  hash.drop()
  await copy.update(filled(' and two'))
  t.equal(await copy.digest(), digestOf(Buffer.from('one and two'), 'sha512'))
  copy.drop()
  t.strictSame(threads.load, { jobs: 0, hashes: 0 })
})

t.test('a hash of something moves when its bytes stand in a file, from which it is made again', async t => {
  const threads = createHashThreads()
  const handle = await open(join(t.testdir(), 'file'), 'w+')
  t.teardown(() => handle.close())
  await handle.write('one')
  const before = beginHash('sha256')
  await before.update(filled('one'))
  const hash = await toThread(before, threads, { length: 3, fd: handle.fd })
  t.equal(hash.threaded, true)
  await hash.update(filled(' and two'), { fd: handle.fd, position: 3 })
  t.equal(await hash.digest(), sha256('one and two'))
  t.equal(await handle.readFile({ encoding: 'utf8' }), ' and two', 'behind the position, which was left alone')
  hash.drop()
})

t.test('a hash that can not move stays, and one that has moved does not move again', async t => {
  const threads = createHashThreads()
  const here = beginHash('sha256')
  await here.update(filled('one'))
  t.equal(await toThread(here, threads, { length: 3, fd: undefined }), here)
  const there = await toThread(beginHash('sha256'), threads, { length: 0, fd: undefined })
  t.equal(await toThread(there, threads, { length: 0, fd: undefined }), there)
  there.drop()
})

t.test('a hash that fails to move is left as it was', async t => {
  const threads = createHashThreads()
  const hash = beginHash('sha256')
  await hash.update(filled('one'))
  await t.rejects(toThread(hash, threads, { length: 3, fd: 1_000_000 }), { code: 'EBADF' })
  t.equal(await hash.digest(), sha256('one'))
  t.strictSame(threads.load, { jobs: 0, hashes: 0 })
})
