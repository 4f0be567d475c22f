import { join } from 'node:path'
import t from 'tap'

/** The tests of uploads once more, with all bodies read the ordinary way: through Node's parser and streams. */

const here = import.meta.dirname
const files = [
  'uploads.test.ts',
  'uploads-chunks.test.ts',
  'uploads-digests.test.ts',
  'uploads-faults.test.ts',
  'uploads-large.test.ts',
]

for (const file of files) {
  // Each is a process, and has a name of its own by its argument: what it keeps in files is no one else's.
  const args = ['--import', import.meta.resolve('./ordinary-reads.ts'), join(here, file), 'ordinary-reads']
  void t.spawn(process.execPath, args, {}, `${file}, with bodies read the ordinary way`)
}
