import { getCiphers } from 'node:tls'
import t from 'tap'
import { Value } from 'typebox/value'
import { ConfigSchema } from '../../server/config/config.ts'
import { cipherSuites, openSslName } from '../../server/config/ciphers.ts'
import { describeConfig } from '../../server/config/describe.ts'
import { least, loadText } from './load-text.ts'

t.test('words are taken whatever their case', async t => {
  t.equal(loadText(t, `${least}log: {level: DEBUG}\n`).config.log.level, 'debug')
})

t.test('the old loglevel counts where log.level is not given', async t => {
  t.equal(loadText(t, `${least}loglevel: debug\n`).config.log.level, 'debug')
  t.equal(loadText(t, `${least}loglevel: debug\nlog: {level: error}\n`).config.log.level, 'error')
  t.equal(loadText(t, `${least}log: {fields: {a: 1}}\n`, { REGISTRY_LOGLEVEL: 'warn' }).config.log.level, 'warn')
})

t.test('the prefix ends with a slash', async t => {
  t.equal(loadText(t, `${least}http: {prefix: /images}\n`).config.http.prefix, '/images/')
})

t.test('a socket has an absolute path', async t => {
  const { config } = loadText(t, `${least}http: {net: unix, addr: berth.sock}\n`)
  t.same(config.http.addr, { path: `${config.data.replace(/\/data$/, '')}/berth.sock` })
})

t.test('nothing and less stand for the default number of entries', async t => {
  const { config } = loadText(t, `${least}catalog: {maxentries: -1}\ntags: {maxtags: 0}\n`)
  t.equal(config.catalog.maxentries, 1000)
  t.equal(config.tags.maxtags, 1000)
})

t.test('a part of uploadpurging is enough, and an interval of zero is the default', async t => {
  const { config } = loadText(t, `${least}health: {storagedriver: {enabled: true, interval: 0}}\n`, {
    REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN: 'true',
  })
  t.same(config.storage.maintenance.uploadpurging, {
    enabled: true,
    age: 604_800_000,
    interval: 86_400_000,
    dryrun: true,
  })
  t.equal(config.health.storagedriver.interval, 10_000)
})

t.test('manifests are validated unless that is switched off, and the old switch wins', async t => {
  t.equal(loadText(t, `${least}validation: {enabled: false}\n`).config.validation.disabled, false)
  t.equal(loadText(t, `${least}validation: {disabled: true}\n`).config.validation.disabled, true)
  t.equal(loadText(t, `${least}validation: {disabled: true, enabled: true}\n`).config.validation.disabled, false)
})

t.test('patterns of URLs are compiled', async t => {
  const { config } = loadText(t, `${least}validation: {manifests: {urls: {allow: ['^https://a\\.b/']}}}\n`)
  const [allow] = config.validation.manifests.urls.allow
  t.ok(allow?.test('https://a.b/c'))
  t.notOk(allow?.test('https://aXb/c'))
})

t.test('every suite with a name in OpenSSL is one that this Node has', async t => {
  const had = getCiphers().map(name => name.toLowerCase())
  for (const suite of cipherSuites) {
    const name = openSslName(suite)
    if (name !== undefined) t.ok(had.includes(name.toLowerCase()), `${suite} is ${name}`)
  }
})

t.test('suites come in the order given and under the names of OpenSSL', async t => {
  const { config, notes } = loadText(
    t,
    `${least}http: {tls: {certificate: a.crt, key: a.key, minimumtls: tls1.0, ciphersuites: [TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA, TLS_AES_256_GCM_SHA384]}}\n`,
  )
  t.match(config.http.tls, {
    minimumtls: 'TLSv1',
    ciphers: 'AES128-SHA:TLS_AES_256_GCM_SHA384:@SECLEVEL=0',
    ciphersuites: ['TLS_RSA_WITH_AES_128_CBC_SHA', 'TLS_AES_256_GCM_SHA384'],
  })
  t.same(notes, ['http.tls.ciphersuites: left out, as OpenSSL has them no more: TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA'])
})

t.test('the debug listener is read in full, ready for the day it is not refused', async t => {
  const { http } = Value.Decode(ConfigSchema, {
    version: '0.1',
    http: { debug: { addr: ':5001', prometheus: { enabled: true } } },
  })
  t.same(http.debug, { addr: { port: 5001 }, prometheus: { enabled: true, path: '/metrics' } })
})

t.test('anchors and merge keys of YAML work', async t => {
  const { config } = loadText(
    t,
    `${least}health:
  file:
    - &first {file: /a, interval: 5s}
    - {<<: *first, file: /b}
`,
  )
  t.same(config.health.file, [
    { file: '/a', interval: 5000, threshold: 1 },
    { file: '/b', interval: 5000, threshold: 1 },
  ])
})

t.test('the number of processes is a number, or auto', async t => {
  const workers = (given: string, env = {}) =>
    loadText(t, `${least}http: {workers: ${given}}\n`, env).config.http.workers
  t.same([workers('4'), workers("'4'"), workers('AUTO'), workers('~')], [4, 4, 'auto', 1])
  t.equal(workers('4', { REGISTRY_HTTP_WORKERS: 'auto' }), 'auto')
  t.equal(workers('4', { REGISTRY_HTTP_WORKERS: '' }), 1)
  for (const given of ['4', 'auto']) {
    const { config } = loadText(t, `${least}http: {workers: ${given}}\n`)
    t.match(describeConfig(config), `  workers: ${given}\n`, 'as it is in the file')
  }
  t.throws(() => workers('{a: 1}'), /http\.workers: has to be a number or a word, not a map/)
  t.throws(() => workers('257'), /http\.workers: has to be a whole number from 1 to 256, or auto, not 257/)
})
