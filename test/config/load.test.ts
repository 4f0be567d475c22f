import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../server/config/config.ts'
import { defaultPlaces, loadConfig } from '../../server/config/load.ts'
import { least } from './load-text.ts'

/** A file of its own whose level of logging tells it from the others. */
function file(level: string): string {
  return `${least}log: {level: ${level}}\n`
}

t.test('a file is looked for where the images of registry:3 and registry:2 have theirs, in this order', async t => {
  t.same(defaultPlaces, ['/etc/distribution/config.yml', '/etc/docker/registry/config.yml'])

  const folder = t.testdir({ three: { 'config.yml': file('error') }, two: { 'config.yml': file('debug') } })
  const places = [join(folder, 'three/config.yml'), join(folder, 'two/config.yml')]
  const first = loadConfig({ env: {}, places })
  t.equal(first.source, places[0])
  t.equal(first.config.log.level, 'error')

  const second = loadConfig({ env: {}, places: [join(folder, 'none/config.yml'), join(folder, 'two/config.yml')] })
  t.equal(second.config.log.level, 'debug')
})

t.test('the variable wins over the places, and the argument over the variable', async t => {
  const cwd = t.testdir({ 'place.yml': file('error'), 'variable.yml': file('warn'), 'argument.yml': file('debug') })
  const places = [join(cwd, 'place.yml')]
  const env = { REGISTRY_CONFIGURATION_PATH: 'variable.yml' }
  const byVariable = loadConfig({ env, cwd, places })
  t.equal(byVariable.source, join(cwd, 'variable.yml'))
  t.equal(byVariable.config.log.level, 'warn')
  t.same(byVariable.warnings, [])
  t.equal(loadConfig({ argument: 'argument.yml', env, cwd, places }).config.log.level, 'debug')
  t.equal(loadConfig({ env: { REGISTRY_CONFIGURATION_PATH: '' }, cwd, places }).config.log.level, 'error')
})

t.test('a file that was named has to be there', async t => {
  const cwd = t.testdir()
  t.throws(() => loadConfig({ argument: 'none.yml', env: {}, cwd }), {
    name: 'ConfigError',
    message: `${cwd}/none.yml is not valid:\n  - there is no such file`,
  })
  t.throws(() => loadConfig({ argument: cwd, env: {} }), { message: /can't be read: EISDIR/ })
})

t.test('without a file the built-in configuration is in force, on this host alone', async t => {
  const cwd = t.testdir()
  const { config, source, warnings, notes } = loadConfig({ env: {}, cwd, places: [] })
  t.equal(source, undefined)
  t.same(warnings, [])
  t.same(notes, [])
  t.same(config, {
    version: '0.1',
    data: join(cwd, 'data'),
    database: { poolsize: 10 },
    log: { level: 'info', formatter: 'text', fields: {}, accesslog: { disabled: false } },
    http: {
      addr: { host: '127.0.0.1', port: 5000 },
      net: 'tcp',
      prefix: '/',
      relativeurls: false,
      draintimeout: 0,
      directreads: true,
      workers: 1,
      trustedproxies: [],
      headers: {},
      http2: { disabled: false },
    },
    storage: {
      filesystem: { rootdirectory: join(cwd, 'data') },
      driver: { name: 'filesystem', options: { rootdirectory: join(cwd, 'data') } },
      delete: { enabled: true },
      maintenance: {
        uploadpurging: { enabled: true, age: 604_800_000, interval: 86_400_000, dryrun: false },
        readonly: { enabled: false },
      },
      redirect: { disable: false, expires: 1_200_000, minsize: 0, rules: [] },
    },
    validation: {
      disabled: false,
      manifests: { sparse: false, urls: { allow: [], deny: [] }, indexes: { platforms: 'all', platformlist: [] } },
    },
    health: { storagedriver: { enabled: false, interval: 10_000, threshold: 3 }, file: [], http: [], tcp: [] },
    catalog: { maxentries: 1000 },
    tags: { maxtags: 1000 },
  })
})

t.test('the environment is laid over the built-in configuration too, and does not change it', async t => {
  const env = { REGISTRY_HTTP_ADDR: ':5000', REGISTRY_STORAGE_DELETE_ENABLED: 'false' }
  const { config } = loadConfig({ env, places: [] })
  t.same(config.http.addr, { port: 5000 })
  t.equal(config.storage.delete.enabled, false)
  t.equal(loadConfig({ env: {}, places: [] }).config.storage.delete.enabled, true)
})

t.test('what is wrong with the environment alone is told as such', async t => {
  t.throws(() => loadConfig({ env: { REGISTRY_STORAGE: 'file' }, places: [] }), {
    message:
      'the built-in configuration with the environment is not valid:\n' +
      '  - storage.file: unknown key; the nearest known one is storage.filesystem (set by REGISTRY_STORAGE)',
  })
})

t.test('the data folder', async t => {
  const cwd = t.testdir({
    'bare.yml': least,
    'root.yml': 'version: 0.1\nstorage: {filesystem: {rootdirectory: /volume}}\n',
    'both.yml': 'version: 0.1\ndata: state\nstorage: {filesystem: {rootdirectory: /volume}}\n',
    'data.yml': `${least}data: /state\n`,
  })
  function folders(argument: string, env: Record<string, string> = {}): [data: string, root: string] {
    const { config } = loadConfig({ argument, env, cwd })
    const { name, options } = config.storage.driver
    return [config.data, name === 'filesystem' ? options.rootdirectory : name]
  }

  t.test('is ./data when nothing is said', async t => {
    t.same(folders('bare.yml'), [join(cwd, 'data'), join(cwd, 'data')])
  })
  t.test('is the root directory of the driver when that was given, by the file or by a variable', async t => {
    t.same(folders('root.yml'), ['/volume', '/volume'])
    t.same(folders('bare.yml', { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: 'here' }), [
      join(cwd, 'here'),
      join(cwd, 'here'),
    ])
  })
  t.test('is what the file says before that, relative to the working folder', async t => {
    t.same(folders('both.yml'), [join(cwd, 'state'), '/volume'])
    t.same(folders('data.yml'), ['/state', '/state'])
    t.same(folders('data.yml', { REGISTRY_DATA: '/other' }), ['/other', '/other'])
  })
  t.test('is BERTH_DATA before all', async t => {
    t.same(folders('both.yml', { BERTH_DATA: '/berth' }), ['/berth', '/volume'])
    t.same(folders('data.yml', { BERTH_DATA: 'berth', REGISTRY_DATA: '/other' }), [
      join(cwd, 'berth'),
      join(cwd, 'berth'),
    ])
  })
})

t.test('nothing in the configuration can be changed', async t => {
  const cwd = t.testdir({ 'config.yml': `${least}health: {file: [{file: a}]}\n` })
  const { config } = loadConfig({ argument: 'config.yml', env: {}, cwd })
  t.throws(() => Object.assign(config, { data: '/other' }), TypeError)
  t.throws(() => Object.assign(config.http, { prefix: '/other/' }), TypeError)
  t.throws(() => Object.assign(config.health.file[0] ?? {}, { file: '/other' }), TypeError)
})

t.test('faults are one error with a list that a person can work through', async t => {
  const cwd = t.testdir({ 'config.yml': 'storage: filesystem\nhtpp: {}\n' })
  try {
    loadConfig({ argument: 'config.yml', env: { REGISTRY_TAGS_MAXTAGS: '-1' }, cwd })
    t.fail('it loaded')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    t.equal(
      error instanceof ConfigError && error.message,
      [
        `${cwd}/config.yml is not valid:`,
        '  - htpp: unknown key; the nearest known one is http',
        '  - version: is missing',
        '  - tags.maxtags: has to be at least 0 (set by REGISTRY_TAGS_MAXTAGS)',
      ].join('\n'),
    )
  }
})
