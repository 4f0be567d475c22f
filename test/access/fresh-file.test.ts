import { renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type FreshFileOptions, openFreshFile } from '../../server/access/fresh-file.ts'
import { silentLog } from '../../server/lib/log.ts'
import { until } from '../http/connection.ts'

interface Line {
  message: string
  fields: unknown
}

function read(text: string): string {
  if (text.includes('broken')) throw new Error('it is broken')
  return text
}

const open = (path: string) => () => openFreshFile({ path, setting: 'auth.x.path', read, log: silentLog })

/** A file with a text, opened; the lines that are logged about it. */
function openWith(t: Test, text: string, options: Partial<FreshFileOptions<string>> = {}) {
  const path = join(t.testdir(), 'file')
  writeFileSync(path, text)
  const lines: Line[] = []
  const note = (fields: unknown, message?: string) => void lines.push({ message: message ?? '', fields })
  const log = { ...silentLog, info: note, warn: note }
  return { path, lines, file: openFreshFile({ path, setting: 'auth.x.path', read, log, ...options }) }
}

/** Makes a file look as if it had been there for long, so that its time tells of changes. */
function age(path: string, seconds = 60): void {
  const then = Date.now() / 1000 - seconds
  utimesSync(path, then, then)
}

const unusable = 'changed file not usable, what it said stays'

t.test('what a file says is read when it is opened, and again when it has changed', async t => {
  const { path, file, lines } = openWith(t, 'one')
  t.equal(file.current(), 'one')
  writeFileSync(path, 'two')
  t.equal(file.latest(), 'two')
  t.equal(file.current(), 'two')
  t.strictSame(lines, [{ message: 'changed file read', fields: { file: path } }])
})

t.test('who asks in passing learns of a change a second later at most', async t => {
  const { path, file } = openWith(t, 'one')
  writeFileSync(path, 'two')
  t.equal(file.current(), 'one', 'it has been looked at just now')
  const began = performance.now()
  await until(() => file.current() === 'two')
  t.ok(performance.now() - began < 1500)
})

t.test('a change is seen whatever it leaves as it was: the size, the time, the name', async t => {
  const { path, file } = openWith(t, 'one')
  t.equal(file.latest(), 'one')
  writeFileSync(path, 'two')
  t.equal(file.latest(), 'two', 'within the same tick')
  age(path)
  t.equal(file.latest(), 'two')
  const { atime, mtime } = statSync(path)
  writeFileSync(`${path}.new`, 'six')
  utimesSync(`${path}.new`, atime, mtime)
  renameSync(`${path}.new`, path)
  t.equal(file.latest(), 'six', 'another file of the same size and time')
})

t.test('the same object is given for as long as the file says the same', async t => {
  const { path, file } = openWith(t, 'one')
  const lists: object[] = []
  const other = openFreshFile({ path, setting: 'x', read: text => ({ text }), log: silentLog })
  lists.push(other.latest(), other.latest())
  age(path)
  lists.push(other.latest())
  writeFileSync(path, 'one')
  lists.push(other.latest())
  t.equal(new Set(lists).size, 1)
  t.equal(file.latest(), 'one')
})

t.test('a file that is gone, can not be used or is being written leaves what it said, and is told once', async t => {
  const { path, file, lines } = openWith(t, 'one', { isWhole: text => text !== '' })
  const told = () => lines.splice(0)

  rmSync(path)
  for (let look = 0; look < 3; look++) t.equal(file.latest(), 'one')
  t.match(told(), [{ message: unusable, fields: { file: path, setting: 'auth.x.path', reason: /ENOENT/ } }])

  writeFileSync(path, 'broken')
  for (let look = 0; look < 3; look++) t.equal(file.latest(), 'one')
  age(path)
  t.equal(file.latest(), 'one')
  t.match(told(), [{ message: unusable, fields: { reason: 'it is broken' } }])

  writeFileSync(path, '')
  for (let look = 0; look < 3; look++) t.equal(file.latest(), 'one')
  t.match(told(), [{ message: unusable, fields: { reason: 'it is being written' } }])
  age(path)
  t.equal(file.latest(), '', 'what stays so is meant')
  t.match(told(), [{ message: 'changed file read' }])

  writeFileSync(path, 'two')
  t.equal(file.latest(), 'two')
  t.match(told(), [{ message: 'changed file read' }])
})

t.test('a complaint is made again after all was well in between', async t => {
  const { path, file, lines } = openWith(t, 'one')
  for (let time = 0; time < 2; time++) {
    writeFileSync(path, 'broken')
    t.equal(file.latest(), time === 0 ? 'one' : 'two')
    writeFileSync(path, 'two')
    t.equal(file.latest(), 'two')
  }
  t.equal(lines.filter(({ message }) => message === unusable).length, 2)
})

t.test('a file that can not be used when it is opened is told in one sentence with its setting', async t => {
  const folder = t.testdir({ bad: 'broken' })
  t.throws(open(join(folder, 'none')), {
    message:
      /^auth\.x\.path: the file \S+\/none can not be read \(ENOENT.*\): correct the path, or let Berth's user read/,
  })
  t.throws(open(folder), { message: /^auth\.x\.path: the file \S+ can not be read \(EISDIR/ })
  t.throws(open(join(folder, 'bad')), { message: /^auth\.x\.path: the file \S+\/bad can not be used: it is broken$/ })
})
