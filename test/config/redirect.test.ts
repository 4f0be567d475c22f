import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { describeConfig } from '../../server/config/describe.ts'
import { type Env, faultsOf, least, loadText } from './load-text.ts'

/** Loads a file with this in `storage.redirect`. */
function redirect(t: Test, text: string, env: Env = {}) {
  return loadText(t, `version: 0.1\nstorage: {filesystem: , redirect: ${text}}\n`, env)
}

/** Faults of a file with this in `storage.redirect`. */
function faults(t: Test, text: string): readonly string[] {
  return faultsOf(t, `version: 0.1\nstorage: {filesystem: , redirect: ${text}}\n`)
}

t.test('downloads are redirected unless that is switched off', async t => {
  const standard = { disable: false, expires: 1_200_000, minsize: 0, rules: [] }
  t.same(loadText(t, least).config.storage.redirect, standard)
  t.same(redirect(t, '{disable: true}').config.storage.redirect, { ...standard, disable: true })
  const env = { REGISTRY_STORAGE_REDIRECT_DISABLE: 'true' }
  t.equal(loadText(t, least, env).config.storage.redirect.disable, true)
})

t.test('rules are read in their order, from the file and the environment', async t => {
  const text =
    '{expires: 90s, minsize: 65536, rules: [{networks: [10.0.0.0/8, "2001:db8::/32"], action: PROXY}, {action: redirect, endpoint: "https://s3.internal"}]}'
  const rules = [
    { networks: ['10.0.0.0/8', '2001:db8::/32'], action: 'proxy' },
    { action: 'redirect', endpoint: 'https://s3.internal' },
  ]
  const { config } = redirect(t, text)
  t.same(config.storage.redirect, { disable: false, expires: 90_000, minsize: 65_536, rules })
  const env = {
    REGISTRY_STORAGE_REDIRECT_RULES_0_NETWORKS: '[10.0.0.0/8]',
    REGISTRY_STORAGE_REDIRECT_RULES_0_ACTION: 'proxy',
  }
  t.same(loadText(t, least, env).config.storage.redirect.rules, [{ networks: ['10.0.0.0/8'], action: 'proxy' }])
  t.same(loadText(t, describeConfig(config)).config.storage.redirect, config.storage.redirect)
})

t.test('rules that could not mean anything are refused', async t => {
  t.match(faults(t, '{rules: [{networks: [10.0.0.0/33], action: proxy}]}'), [
    'storage.redirect.rules[0].networks[0]: "10.0.0.0/33" is not a network like 10.0.0.0/8 or 2001:db8::/32',
  ])
  t.match(faults(t, '{rules: [{networks: [a.example.com]}]}'), [/networks\[0\]: /, /rules\[0\]\.action: is missing/])
  t.match(faults(t, '{rules: [{networks: [], action: proxy}]}'), [/rules\[0\]\.networks: is empty; name a network/])
  t.match(faults(t, '{rules: [{action: serve}]}'), [/rules\[0\]\.action: "serve" is none of redirect, proxy/])
  t.match(faults(t, '{rules: [{action: proxy, endpoint: "https://a"}]}'), [/endpoint: has no meaning with the action/])
  t.match(faults(t, '{rules: [{action: proxy}, {networks: [10.0.0.0/8], action: redirect}]}'), [
    'storage.redirect.rules[1]: never counts, since storage.redirect.rules[0] is for all clients',
  ])
  for (const endpoint of ['s3.internal', 'ftp://a', 'https://a?b', 'https://'])
    t.match(
      faults(t, `{rules: [{action: redirect, endpoint: "${endpoint}"}]}`),
      [/is not the URL of a server/],
      endpoint,
    )
})

t.test('a URL is good for a second at least and a week at most', async t => {
  t.equal(redirect(t, '{expires: 168h}').config.storage.redirect.expires, 604_800_000)
  for (const text of ['0s', '999ms', '169h', 'soon'])
    t.match(faults(t, `{expires: ${text}}`), [/expires: ".*" is not a time like 20m, from 1s to 168h$/], text)
  t.match(faults(t, '{expires: 1200}'), [/1200 without a unit means nanoseconds; write 1200s/])
  t.match(faults(t, '{minsize: -1}'), [/minsize: has to be at least 0/])
})

t.test('with files and no server for them it is told that there are no redirects', async t => {
  const note = 'storage.redirect has no effect: files are never served by redirects'
  t.same(redirect(t, '{disable: true}').notes, [note])
  t.same(redirect(t, '{disable: false, expires: 20m}').notes, [])
  const served = 'middleware: {storage: [{name: redirect, options: {baseurl: "https://a.example.com"}}]}'
  t.same(loadText(t, `version: 0.1\nstorage: {filesystem: , redirect: {minsize: 1}}\n${served}\n`).notes, [])
})

t.test('proxies that are believed are networks, or come over the socket', async t => {
  t.same(loadText(t, least).config.http.trustedproxies, [])
  const { config } = loadText(t, `${least}http: {trustedproxies: [unix, 10.0.0.0/8, "::1"]}\n`)
  t.same(config.http.trustedproxies, ['unix', '10.0.0.0/8', '::1'])
  const wrong = faultsOf(t, `${least}http: {trustedproxies: [loopback]}\n`)
  t.match(wrong, [/^http\.trustedproxies\[0\]: "loopback" is not a network like/])
})

/** A file with the entries of `middleware.storage`; of S3 unless said otherwise. */
function middleware(entries: string, storage = 's3: {region: eu-west-1, bucket: images}'): string {
  return `version: 0.1\nstorage: {${storage}}\nmiddleware: {storage: [${entries}]}\n`
}

const cloudfront = 'baseurl: d111.cloudfront.net, privatekey: keys/cloudfront.pem, keypairid: K2JCJMDEHXQW5F'

t.test('the middlewares of registry:2 and 3 are in force in their order', async t => {
  const entries = `{name: cloudfront, options: {${cloudfront}, duration: 3000s, ipfilteredby: none}},
    {name: redirect, disabled: true, options: {baseurl: "https://a"}},
    {name: rewrite, options: {scheme: https, host: "images.example.com:8443", trimpathprefix: /registry}}`
  const { config, notes } = loadText(t, middleware(entries))
  const [first, second, ...others] = config.middleware?.storage ?? []
  t.match(first, {
    name: 'cloudfront',
    options: { baseurl: 'd111.cloudfront.net', keypairid: 'K2JCJMDEHXQW5F', duration: 3_000_000 },
  })
  t.match(first, { options: { privatekey: /^\/.*\/keys\/cloudfront\.pem$/ } }, 'paths are absolute')
  t.same(second, {
    name: 'rewrite',
    options: { scheme: 'https', host: 'images.example.com:8443', trimpathprefix: '/registry' },
  })
  t.same(others, [])
  t.same(notes, [])
  t.match(parse(describeConfig(config)), { middleware: { storage: [{ options: { duration: '50m' } }, second] } })
})

t.test('without a middleware in force there is none', async t => {
  t.notOk('middleware' in loadText(t, least).config)
  t.notOk('middleware' in loadText(t, `${least}middleware: {storage: [{name: x, disabled: true}]}\n`).config)
})

t.test('variables of the environment make a middleware', async t => {
  const { config } = loadText(t, least, {
    REGISTRY_MIDDLEWARE_STORAGE_0_NAME: 'redirect',
    REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL: 'https://images.example.com/a',
  })
  t.same(config.middleware, { storage: [{ name: 'redirect', options: { baseurl: 'https://images.example.com/a' } }] })
})

t.test('a middleware that could not do its work is refused', async t => {
  const table: [entries: string, ...faults: RegExp[]][] = [
    ['{name: other}', /^middleware\.storage\[0\]\.name: is none of .* \(cloudfront, redirect, rewrite\)/],
    ['{options: {}}', /^middleware\.storage\[0\]\.name: is none of/],
    ['{name: redirect}', /\[0\]\.options\.baseurl: is missing, which redirect needs/],
    ['{name: redirect, options: {baseurl: images.example.com}}', /baseurl: "images\.example\.com" is not a URL/],
    [
      '{name: redirect, options: {baseurl: "https://a", host: b}}',
      /options\.host: is no option of redirect; remove it/,
    ],
    ['{name: rewrite}', /\[0\]\.options: says nothing; give one of scheme, host, trimpathprefix/],
    ['{name: rewrite, options: {scheme: ftp}}', /options\.scheme: "ftp" is none of http, https/],
    ['{name: rewrite, options: {host: "https://a"}}', /options\.host: .* is not a host like/],
    ['{name: cloudfront}', /baseurl: is missing/, /privatekey: is missing/, /keypairid: is missing/],
    [
      `{name: cloudfront, options: {${cloudfront}, duration: 0s}}`,
      /duration: "0s" is not a time like 20m, at least 1s/,
    ],
    [`{name: cloudfront, options: {${cloudfront}, keypair: x}}`, /keypair: unknown key; the nearest known one is/],
  ]
  for (const [entries, ...expected] of table) {
    const found = faultsOf(t, middleware(entries))
    t.equal(found.length, expected.length, found.join('\n'))
    t.match(found, expected, entries)
  }
})

t.test("the lists of Amazon's networks are refused with what to write instead", async t => {
  for (const filter of ['aws', 'AWSRegion']) {
    const entry = `{name: cloudfront, options: {${cloudfront}, ipfilteredby: ${filter}, awsregion: eu-west-1}}`
    t.match(faultsOf(t, middleware(entry)), [
      /^middleware\.storage\[0\]\.options\.ipfilteredby: Berth does not fetch .* in storage\.redirect\.rules: /,
    ])
  }
  const entry = `{name: cloudfront, options: {${cloudfront}, updatefrenquency: 12h, iprangesurl: "https://a"}}`
  t.same(loadText(t, middleware(entry)).notes, [
    'middleware.storage[0].options: without effect, as no list is fetched: updatefrenquency, iprangesurl',
  ])
})

t.test('files have no URLs that could be signed or rewritten', async t => {
  const files = (entries: string) => faultsOf(t, middleware(entries, 'filesystem: '))
  t.match(files(`{name: cloudfront, options: {${cloudfront}}}`), [/\[0\]: cloudfront serves the objects of S3/])
  t.match(files('{name: rewrite, options: {scheme: https}}'), [/\[0\]: rewrite has nothing to do/])
  t.same(files('{name: redirect, options: {baseurl: "http://a"}}, {name: rewrite, options: {scheme: https}}'), [])
})
