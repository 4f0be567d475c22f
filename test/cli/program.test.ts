import { readFile } from 'node:fs/promises'
import t from 'tap'
import { runBerth } from './run-berth.ts'

t.test('the help names every command, and what comes without one', async t => {
  for (const { code, stdout, stderr } of await Promise.all(
    [['--help'], ['-h'], ['help']].map(args => runBerth(args)),
  )) {
    t.equal(code, 0)
    t.equal(stderr, '')
    for (const word of ['serve', 'migrate', 'config', 'version', 'Without a command', 'config.yml', 'Exit status'])
      t.match(stdout, word)
  }
})

t.test('the help of a command tells all that it takes', async t => {
  const table: [string[], RegExp[]][] = [
    [
      ['serve', '--help'],
      [
        /Usage: berth serve \[options\] \[config\]/,
        /--no-search/,
        /REGISTRY_CONFIGURATION_PATH/,
        /DB_URI/,
        /BERTH_DATA/,
        /SIGTERM/,
        /draintimeout/,
        /status 1/,
      ],
    ],
    [
      ['migrate', '--help'],
      [/Usage: berth migrate \[options\] \[config\]/, /--no-search/, /\/etc\/distribution\/config\.yml/, /DB_URI/],
    ],
    [['config', '--help'], [/check \[file\]/]],
    [
      ['config', 'check', '--help'],
      [/Usage: berth config check/, /exit status/],
    ],
    [['version', '--help'], [/Usage: berth version/]],
  ]
  const results = await Promise.all(
    table.map(async ([args, patterns]) => ({ args, patterns, ...(await runBerth(args)) })),
  )
  for (const { args, patterns, code, stdout } of results) {
    t.equal(code, 0, args.join(' '))
    for (const pattern of patterns) t.match(stdout, pattern, args.join(' '))
  }
})

t.test('the version is the one of package.json', async t => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  for (const args of [['version'], ['--version'], ['-v']]) {
    t.match(await runBerth(args), { code: 0, stdout: `${version}\n`, stderr: '' })
  }
})

t.test('what is wrong on the command line is one message and status 1', async t => {
  const cwd = t.testdir({ folder: {}, 'broken.yml': 'version: [', 'empty.yml': '' })
  const table: [string[], RegExp][] = [
    [['sevre'], /^berth: sevre is neither a command nor a file here; berth --help lists the commands\n$/],
    [['missing.yml'], /missing\.yml is not valid:\n {2}- there is no such file\n$/],
    [['/nowhere/config.yml'], /^berth: \/nowhere\/config\.yml is not valid:\n {2}- there is no such file\n$/],
    [['serve', 'missing.yml'], /missing\.yml is not valid:\n {2}- there is no such file\n$/],
    [['migrate', 'missing.yml'], /missing\.yml is not valid:\n {2}- there is no such file\n$/],
    [['serve', 'folder'], /folder is not valid:\n {2}- can't be read: EISDIR/],
    [['serve', 'broken.yml'], /broken\.yml is not valid/],
    [['serve', 'empty.yml'], /empty\.yml is not valid/],
    [['serve', 'one.yml', 'two.yml'], /too many arguments/],
    [['serve', '--port', '5000'], /unknown option '--port'/],
    [['config', 'chekc'], /unknown command 'chekc'/],
  ]
  const results = await Promise.all(
    table.map(async ([args, message]) => ({ args, message, ...(await runBerth(args, { cwd })) })),
  )
  for (const { args, message, code, stdout, stderr } of results) {
    t.equal(code, 1, args.join(' '))
    t.match(stderr, message, args.join(' '))
    t.notMatch(stderr, /\n {4}at /, 'no stack')
    t.equal(stdout, '')
  }
})
