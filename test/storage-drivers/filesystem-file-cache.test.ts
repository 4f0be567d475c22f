import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { OpenObject } from '../../storage-drivers/driver.ts'
import { createFileCache, type FileCache } from '../../storage-drivers/filesystem/file-cache.ts'
import { openBelow, until } from './open-files.ts'

interface Place {
  files: FileCache
  folder: string
  /** The path of a file with its own name in it. */
  path: (name: string) => Promise<string>
  /** How many of them are open. */
  open: () => number
}

function setUp(t: Test): Place {
  const folder = t.testdir()
  const files = createFileCache()
  t.teardown(() => files.close())
  return {
    files,
    folder,
    async path(name) {
      await writeFile(join(folder, name), name)
      return join(folder, name)
    },
    open: () => openBelow(folder).length,
  }
}

async function textOf(object: OpenObject): Promise<string> {
  const found = Buffer.alloc(20)
  return found.toString('latin1', 0, await object.read([found], 0))
}

t.test('a file is opened once for all who read it, at once and soon after', async t => {
  const { files, path, open } = setUp(t)
  const file = await path('one')
  const objects = await Promise.all(Array.from({ length: 20 }, () => files.open(file)))
  t.equal(open(), 1)
  for (const object of objects) object.release()
  const later = await files.open(file)
  t.equal(open(), 1)
  t.equal(await textOf(later), 'one')
  later.release()
})

t.test('a file that no one reads is closed after a moment, by itself', async t => {
  const { files, path, open } = setUp(t)
  const idle = await files.open(await path('idle'))
  const held = await files.open(await path('held'))
  idle.release()
  t.equal(open(), 2)
  t.equal(await until(open, count => count === 1), 1)
  t.equal(await textOf(held), 'held', 'one that is read stays open')
  held.release()
  t.equal(await until(open, count => count === 0), 0)
})

t.test('a file that is forgotten is closed at once, or by its last reader', async t => {
  const { files, path, open } = setUp(t)
  const [one, two] = [await path('one'), await path('two')]
  const read = await files.open(one)
  const idle = await files.open(two)
  idle.release()
  for (const file of [one, two]) {
    await rm(file)
    files.forget(file)
  }
  t.equal(await until(open, count => count === 1, 500), 1, 'the room of the other is free')
  await writeFile(one, 'another')
  const other = await files.open(one)
  t.equal(await textOf(read), 'one')
  t.equal(await textOf(other), 'another')
  read.release()
  t.equal(await until(open, count => count === 1, 500), 1)
  other.release()
  files.close()
  t.equal(await until(open, count => count === 0, 500), 0, 'and all of them with the cache')
})

t.test('of very many files only some stay open', async t => {
  const { files, path, open } = setUp(t)
  const paths = await Promise.all(Array.from({ length: 400 }, (_, index) => path(`file-${index}`)))
  const objects = await Promise.all(paths.map(file => files.open(file)))
  t.equal(open(), 400, 'as long as they are read')
  t.equal(await textOf(objects[0] ?? fail()), 'file-0')
  for (const object of objects) object.release()
  t.ok((await until(open, count => count <= 256, 500)) <= 256)
})

t.test('a file that can not be opened is tried again the next time', async t => {
  const { files, folder, path, open } = setUp(t)
  const file = join(folder, 'late')
  const tries = await Promise.allSettled([files.open(file), files.open(file)])
  t.match(
    tries.map(result => result.status === 'rejected' && String(result.reason)),
    [/ENOENT/, /ENOENT/],
  )
  await path('late')
  const object = await files.open(file)
  t.equal(await textOf(object), 'late')
  object.release()
  files.close()
  t.equal(await until(open, count => count === 0, 500), 0)
})

t.test('after its end nothing stays open behind a reader', async t => {
  const { files, path, open } = setUp(t)
  files.close()
  const object = await files.open(await path('after'))
  t.equal(await textOf(object), 'after')
  object.release()
  t.equal(await until(open, count => count === 0, 500), 0)
})

function fail(): never {
  throw new Error('there is none')
}
