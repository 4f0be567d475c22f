import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readdir, readFile, rm, statfs, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import t from 'tap'
import { OutOfSpace, UploadLost, type UploadState } from '../../storage-drivers/driver.ts'
import { createFilesystemDriver } from '../../storage-drivers/filesystem/filesystem.ts'
import { needs } from '../helpers/needs.ts'
import { closing, get, put, saved, testDriver } from './contract.ts'
import { openBelow } from './open-files.ts'
import { mountTmpfs } from './tmpfs.ts'

testDriver('filesystem', async t => {
  const rootdirectory = t.testdir()
  return () => createFilesystemDriver({ rootdirectory })
})

const run = promisify(execFile)
const mebibyte = 1024 * 1024

t.test('a file under a key is the object, byte for byte, and nothing else is left of its upload', async t => {
  const root = t.testdir()
  const driver = await createFilesystemDriver({ rootdirectory: root })
  const key = await put(driver, 'blobs/sha256/ab/abcd', Buffer.from('content'))
  t.equal(await readFile(join(root, 'blobs/sha256/ab/abcd'), 'utf8'), 'content')
  t.equal(driver.filePath?.(key), 'blobs/sha256/ab/abcd', 'which other programs are told of')
  t.same(await readdir(join(root, 'uploads')), [])
  t.same(await readdir(join(root, 'blobs/sha256/ab')), ['abcd'])
})

t.test('the root folder is made when it is missing, with the folders above it', async t => {
  const rootdirectory = join(t.testdir(), 'some', 'where', 'deep')
  const driver = await createFilesystemDriver({ rootdirectory })
  t.equal((await get(driver, await put(driver, 'a/b', Buffer.from('x')), 1)).toString(), 'x')
})

t.test('a folder that can not be written to is told to the operator by its name', async t => {
  const rootdirectory = t.testdir()
  const driver = await createFilesystemDriver({ rootdirectory })
  await rm(join(rootdirectory, 'uploads'), { recursive: true })
  await writeFile(join(rootdirectory, 'uploads'), 'in the way')
  await t.rejects(driver.check(), { message: `the folder ${rootdirectory} can not be written to` })
})

t.test('no key leads out of the root, or to an upload under way', async t => {
  const folder = t.testdir({ root: {}, secret: 'secret' })
  const driver = await createFilesystemDriver({ rootdirectory: join(folder, 'root') })
  const upload = await saved(driver, Buffer.from('unfinished'))
  const file = (await readdir(join(folder, 'root', 'uploads')))[0] ?? ''
  const keys = [
    '../secret',
    'blobs/../../secret',
    '/etc/passwd',
    join(folder, 'secret'),
    'blobs//x',
    'blobs/./x',
    'blobs/',
    '.',
    '..',
    '',
    'blobs/\0',
    'uploads',
    `uploads/${file}`,
  ]
  const refusal = /can not be the key of an object/
  for (const key of keys) {
    await t.rejects(driver.read(key, { first: 0, last: 0 }), refusal, `read ${JSON.stringify(key)}`)
    await t.rejects(driver.size(key), refusal)
    await t.rejects(driver.delete([key]), refusal)
    await using session = closing(await driver.createUpload())
    await t.rejects(session.commit(key), refusal)
    await driver.dropUpload(await session.save())
  }
  t.equal(await readFile(join(folder, 'secret'), 'utf8'), 'secret')
  t.same(await readdir(join(folder, 'root')), ['uploads'])
  await t.resolves(driver.readUpload(upload).then(buffer), 'the upload is still there')
})

t.test('keys that other registries wrote lead to their files', async t => {
  const root = t.testdir()
  const driver = await createFilesystemDriver({ rootdirectory: root })
  const keys = ['docker/registry/v2/blobs/sha256/ab/abcd/data', 'sha256/ab/abcd', '...', 'a..b/c..']
  for (const key of keys) {
    await mkdir(join(root, key, '..'), { recursive: true })
    await writeFile(join(root, key), 'old')
    t.equal((await get(driver, key, 3)).toString(), 'old', key)
  }
})

t.test('no state of an upload leads out of its folder', async t => {
  const folder = t.testdir({ root: {}, secret: 'secret' })
  const driver = await createFilesystemDriver({ rootdirectory: join(folder, 'root') })
  for (const file of ['../../secret', join(folder, 'secret'), '', '.', undefined, 7, ['x'], '-'.repeat(35)]) {
    const state: UploadState = { offset: 1, driver: { file } }
    await t.rejects(driver.resumeUpload(state), UploadLost, `resume ${String(file)}`)
    await t.rejects(driver.readUpload(state), UploadLost)
    await t.resolves(driver.dropUpload(state))
  }
  t.equal(await readFile(join(folder, 'secret'), 'utf8'), 'secret')
})

t.test('an upload whose file has lost bytes that were saved is lost', async t => {
  const root = t.testdir()
  const driver = await createFilesystemDriver({ rootdirectory: root })
  const state = await saved(driver, randomBytes(1000))
  const [file = ''] = await readdir(join(root, 'uploads'))
  await truncate(join(root, 'uploads', file), 999)
  await t.rejects(driver.resumeUpload(state), UploadLost)
  await t.rejects(driver.readUpload(state).then(buffer), /ends at byte 999/)
  t.same(openBelow(root), [], 'nothing stays open')
})

t.test('a file that is cut while it is read makes the stream fail; one that grows does not make it longer', async t => {
  const root = t.testdir()
  const driver = await createFilesystemDriver({ rootdirectory: root })
  const size = 4 * mebibyte
  const key = await put(driver, 'blobs/changing', randomBytes(size))
  const growing = await driver.read(key, { first: 0, last: size - 1 })
  await appendFile(join(root, key), 'more')
  t.equal((await buffer(growing)).length, size)
  const cut = await driver.read(key, { first: 0, last: size - 1 })
  const reading = (async () => {
    let length = 0
    for await (const chunk of cut) {
      if (length === 0) await truncate(join(root, key), 2 * mebibyte)
      if (Buffer.isBuffer(chunk)) length += chunk.length
    }
  })()
  await t.rejects(reading, /ends at byte 2097152, and not behind byte 4194303/)
  t.same(openBelow(root), [])
})

t.test('an object that is replaced or deleted goes on for those who read it already', async t => {
  const driver = await createFilesystemDriver({ rootdirectory: t.testdir() })
  const bytes = randomBytes(2 * mebibyte)
  const key = await put(driver, 'blobs/read', bytes)
  const first = await driver.read(key, { first: 0, last: bytes.length - 1 })
  await put(driver, key, bytes)
  const second = await driver.read(key, { first: 0, last: bytes.length - 1 })
  await driver.delete([key])
  t.ok((await buffer(first)).equals(bytes))
  t.ok((await buffer(second)).equals(bytes))
})

t.test('the root may be reached by a symbolic link', async t => {
  const folder = t.testdir({ real: {} })
  await symlink(join(folder, 'real'), join(folder, 'link'))
  const driver = await createFilesystemDriver({ rootdirectory: join(folder, 'link') })
  await put(driver, 'blobs/x', Buffer.from('x'))
  t.equal(await readFile(join(folder, 'real/blobs/x'), 'utf8'), 'x')
})

t.test('a disk that is nearly full takes no more, and keeps room for the database beside it', async t => {
  const root = await mountTmpfs(t, 'size=8m')
  if (root === undefined) return
  const driver = await createFilesystemDriver({ rootdirectory: root })
  const bytes = randomBytes(6 * mebibyte)
  await using session = closing(await driver.createUpload())
  await session.write([bytes.subarray(0, 4 * mebibyte)])
  const before = await roomOf(root)
  await t.rejects(session.write([randomBytes(4 * mebibyte)]), OutOfSpace, 'more than there is')
  await t.rejects(session.write([randomBytes(before)]), OutOfSpace, 'exactly what there is')
  t.equal(await roomOf(root), before, 'nothing of that was taken')
  t.equal((await session.save()).offset, 4 * mebibyte)
  await session.write([bytes.subarray(4 * mebibyte)])
  const key = await session.commit('blobs/fits')
  t.ok((await get(driver, key, bytes.length)).equals(bytes))
})

t.test(
  'a disk that someone else fills in the middle of a write gets its room back, and the upload goes on',
  async t => {
    const root = await mountTmpfs(t, 'size=8m')
    if (root === undefined) return
    const driver = await createFilesystemDriver({ rootdirectory: root })
    const bytes = randomBytes(3 * mebibyte)
    await using session = closing(await driver.createUpload())
    // The driver has looked at the room just now, and believes that there is enough.
    await session.write([bytes.subarray(0, 1)])
    const others = join(root, 'others')
    await writeFile(others, randomBytes(6 * mebibyte))
    const before = await roomOf(root)
    await t.rejects(session.write([bytes.subarray(1, mebibyte), bytes.subarray(mebibyte)]), OutOfSpace)
    t.equal(await roomOf(root), before, 'the part that was written is gone again')
    t.equal((await session.save()).offset, 1)
    await rm(others)
    await session.write([bytes.subarray(1)])
    const key = await session.commit('blobs/late')
    t.ok((await get(driver, key, bytes.length)).equals(bytes))
  },
)

t.test('a disk without room for one more file, or for a folder, is a full disk', async t => {
  // The root, uploads, two uploads, and one file for the test.
  const root = await mountTmpfs(t, 'size=8m,nr_inodes=5')
  if (root === undefined) return
  const driver = await createFilesystemDriver({ rootdirectory: root })
  await using session = closing(await driver.createUpload())
  await session.write([Buffer.from('content')])
  const others = [join(root, 'one'), join(root, 'two')]
  for (const file of others) await writeFile(file, '')
  await t.rejects(driver.createUpload(), OutOfSpace)
  await t.rejects(session.commit('blobs/x'), OutOfSpace, 'no room for the folder of the key')
  for (const file of others) await rm(file)
  t.equal((await get(driver, await session.commit('blobs/x'), 7)).toString(), 'content')
})

t.test('a commit has the bytes on the disk before the name, and the name before it resolves', async t => {
  const strace = needs(t, 'strace')
  if (strace === undefined) return
  const folder = t.testdir({ root: {} })
  const trace = join(folder, 'trace')
  const driver = new URL('../../storage-drivers/filesystem/filesystem.ts', import.meta.url)
  const program = `
    import { writeSync } from 'node:fs'
    import { createFilesystemDriver } from ${JSON.stringify(driver.href)}
    const driver = await createFilesystemDriver({ rootdirectory: ${JSON.stringify(join(folder, 'root'))} })
    const session = await driver.createUpload()
    await session.write([Buffer.from('content')])
    await session.commit('blobs/sha256/ab/abcd')
    writeSync(1, 'committed')
    await session.close()`
  const calls = 'mkdir,mkdirat,rename,renameat,renameat2,fsync,fdatasync,writev,pwritev,pwritev2,pwrite64,write'
  await run(strace, [
    '-f',
    '-y',
    '-o',
    trace,
    '-e',
    `trace=${calls}`,
    process.execPath,
    '--input-type=module',
    '-e',
    program,
  ])
  const steps = (await readFile(trace, 'utf8'))
    .replaceAll(join(folder, 'root'), 'ROOT')
    .split('\n')
    .filter(line => line.includes('ROOT') || line.includes('"committed"'))
    .filter(line => !line.includes('ENOENT') && !line.includes('EEXIST'))
    .map(step)
  t.same(steps.slice(steps.indexOf('write ROOT/uploads/ID')), [
    'write ROOT/uploads/ID',
    'sync ROOT/uploads/ID',
    'mkdir ROOT/blobs',
    'mkdir ROOT/blobs/sha256',
    'mkdir ROOT/blobs/sha256/ab',
    'sync ROOT/blobs/sha256',
    'sync ROOT/blobs',
    'sync ROOT',
    'rename ROOT/uploads/ID to ROOT/blobs/sha256/ab/abcd',
    'sync ROOT/blobs/sha256/ab',
    'committed',
  ])
})

t.test('an upload whose bytes could not be synced is lost, also when a later sync finds nothing wrong', async t => {
  const strace = needs(t, 'strace')
  if (strace === undefined) return
  const folder = t.testdir({ root: {} })
  const driver = new URL('../../storage-drivers/filesystem/filesystem.ts', import.meta.url)
  const program = `
    import { createFilesystemDriver } from ${JSON.stringify(driver.href)}
    const driver = await createFilesystemDriver({ rootdirectory: ${JSON.stringify(join(folder, 'root'))} })
    const session = await driver.createUpload()
    await session.write([Buffer.from('lost')])
    const state = await session.save()
    await session.write([Buffer.from(' and more')])
    await session.commit('blobs/one').then(() => console.log('committed'), error => console.log(error.code))
    await session.close()
    await driver.resumeUpload(state).then(() => console.log('there'), error => console.log(error.name))`
  const inject = ['-f', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1']
  const { stdout } = await run(strace, [...inject, process.execPath, '--input-type=module', '-e', program])
  t.equal(stdout, 'EIO\nUploadLost\n')
  t.same(await readdir(join(folder, 'root', 'uploads')), [])
})

/** A line of strace in words. */
function step(line: string): string {
  if (line.includes('"committed"')) return 'committed'
  const name = /^\d+ +(?:<\.\.\. )?(\w+)/.exec(line)?.[1] ?? ''
  const paths = [...line.matchAll(/ROOT[^">]*/g)].map(([path]) => path.replace(/[0-9a-f-]{36}/, 'ID'))
  const verb = name.endsWith('sync') ? 'sync' : name.includes('write') ? 'write' : name.replace(/at2?$/, '')
  return `${verb} ${paths.join(' to ')}`
}

async function roomOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
