import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import t from 'tap'

/** Rows of the table in docs/conformance.md. */
const rows = [...readFileSync('docs/conformance.md', 'utf8').matchAll(/^\| (\d+) \| (.+) \| (.+) \| (.+) \|$/gm)].map(
  ([, number = '', rule = '', section = '', file = '']) => ({ number: Number(number), rule, section, file }),
)

/** The numbers that stand in brackets in the titles of a file's tests. */
function numbersIn(file: string): Set<number> {
  const titles = readFileSync(file, 'utf8').matchAll(/\bt\.test\(\s*(['"`])(.+?)\1,/gs)
  return new Set(
    [...titles].flatMap(([, , title = '']) => [...title.matchAll(/\[(\d+)\]/g)].map(([, number]) => Number(number))),
  )
}

t.test('each number of docs/conformance.md stands in a title of the file that it names', async t => {
  t.ok(rows.length > 90, 'the table was found')
  for (const { number, file } of rows) t.ok(existsSync(file) && numbersIn(file).has(number), `[${number}] in ${file}`)
})

t.test('each number in a title has its row, and each row its number', async t => {
  const numbers = rows.map(({ number }) => number)
  t.same(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
    'in order, and once each',
  )
  for (const file of globSync('test/{oci,http}/**/*.test.ts'))
    t.same(
      [...numbersIn(file)].filter(number => !numbers.includes(number)),
      [],
      file,
    )
})

t.test('docs/errors.md is what its script prints', async t => {
  const { stdout, stderr } = spawnSync(process.execPath, ['docs/print-errors.ts'], { encoding: 'utf8' })
  t.equal(stderr, '')
  t.equal(readFileSync('docs/errors.md', 'utf8'), stdout, 'else: node docs/print-errors.ts > docs/errors.md')
})
