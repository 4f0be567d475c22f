import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { parse } from 'yaml'
import { least } from './load-text.ts'

const program = `
  import { configCommand } from ${JSON.stringify(new URL('../../server/cli/config.ts', import.meta.url).href)}
  await configCommand().name('berth config').parseAsync(process.argv.slice(1), { from: 'user' })
`

/** Runs `berth config ...` as a process of its own, with nothing in its environment but what is given. */
async function berthConfig(args: readonly string[], { cwd, env = {} }: { cwd: string; env?: Record<string, string> }) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program, '--', ...args], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exit = new Promise<number | null>(resolve => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  return { stdout, stderr, code }
}

t.test('check prints what is in force, with secrets masked, and what it noticed beside it', async t => {
  const cwd = t.testdir({ 'config.yml': `${least}http: {secret: hunter2}\nreporting: {}\n` })
  const { stdout, stderr, code } = await berthConfig(['check', 'config.yml'], {
    cwd,
    env: { REGISTRY_LOG_LEVEL: 'debug', REGISTRY_PORT: 'tcp://10.0.0.1:5000' },
  })
  t.equal(code, 0)
  t.match(parse(stdout), { log: { level: 'debug' }, http: { secret: '***' } })
  t.match(stderr, /^warning: REGISTRY_PORT is ignored: it names no key of the configuration$/m)
  t.match(stderr, /^note: reporting has no effect: Berth reports to nobody$/m)
  t.notMatch(stdout + stderr, /hunter2/)
})

t.test('check finds the file by the variable', async t => {
  const cwd = t.testdir({ 'other.yml': `${least}log: {level: warn}\n` })
  const { stdout, stderr } = await berthConfig(['check'], { cwd, env: { REGISTRY_CONFIGURATION_PATH: 'other.yml' } })
  t.match(parse(stdout), { log: { level: 'warn' } })
  t.match(stderr, `note: read from ${cwd}/other.yml`)
})

t.test('check ends with status 1 and lists the faults when there are any', async t => {
  const cwd = t.testdir({ 'config.yml': `${least}http: {adr: x}\n` })
  const { stdout, stderr, code } = await berthConfig(['check', 'config.yml'], { cwd })
  t.equal(code, 1)
  t.equal(stdout, '')
  t.equal(stderr, `${cwd}/config.yml is not valid:\n  - http.adr: unknown key; the nearest known one is http.addr\n`)
})

t.test('the help tells where files are looked for', async t => {
  const { stdout, code } = await berthConfig(['check', '--help'], { cwd: t.testdir() })
  t.equal(code, 0)
  t.match(stdout, /Usage: berth config check \[options\] \[file\]/)
  t.match(stdout, /\/etc\/distribution\/config\.yml\n\s+\/etc\/docker\/registry\/config\.yml/)
})
