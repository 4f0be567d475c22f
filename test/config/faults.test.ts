import t from 'tap'
import { faultsOf, least, loadText } from './load-text.ts'

/** Asserts that a text that follows the least one is refused for one reason. */
function refused(t: Parameters<typeof faultsOf>[0], more: string, ...faults: (string | RegExp)[]): void {
  const found = faultsOf(t, `${least}${more}\n`)
  t.equal(found.length, faults.length, more)
  t.match(found, faults, more)
}

t.test('an unknown key is told with its path and the nearest known one', async t => {
  refused(t, 'logs: {}', 'logs: unknown key; the nearest known one is log')
  refused(t, 'http: {adr: x}', 'http.adr: unknown key; the nearest known one is http.addr')
  refused(t, 'http: {tls: {cert: /a}}', 'http.tls.cert: unknown key; the nearest known one is http.tls.certificate')
  refused(
    t,
    'health: {http: [{url: http://a}]}',
    /^health.http\[0\].url: unknown .* health.http\[0\].uri$/,
    /uri: is missing/,
  )
  refused(t, 'maxentries: 5', 'maxentries: unknown key; the nearest known one is catalog.maxentries')
  refused(t, 'redis: {passwrd: x}', 'redis.passwrd: unknown key; the nearest known one is redis.password', /^redis: /)
  refused(t, 'Log: {}', 'Log: unknown key; the nearest known one is log')
})

t.test("a driver's misspelt name is one fault", async t => {
  t.same(faultsOf(t, 'version: 0.1\nstorage: filesytem\n'), [
    'storage.filesytem: unknown key; the nearest known one is storage.filesystem',
  ])
})

t.test('storage has one driver, whether as text, as a map or as a key without a value', async t => {
  t.same(faultsOf(t, 'version: 0.1\nstorage: filesystem\n'), [])
  t.same(faultsOf(t, 'version: 0.1\nstorage: {filesystem: {}, delete: {enabled: true}}\n'), [])
  t.same(faultsOf(t, 'version: 0.1\nstorage:\n  filesystem:\n'), [])
  t.match(faultsOf(t, 'version: 0.1\n'), [/^storage: names no driver; write storage: filesystem/])
  t.match(faultsOf(t, 'version: 0.1\nstorage: {delete: {enabled: true}}\n'), [/^storage: names no driver/])
  t.match(faultsOf(t, 'version: 0.1\nstorage: {filesystem: , inmemory: }\n'), [
    /^storage: names 2 drivers \(filesystem, inmemory\)/,
    /^storage.inmemory: Berth has no storage in memory: /,
  ])
})

t.test('the version is 0.1, quoted or not', async t => {
  t.same(faultsOf(t, 'version: "0.1"\nstorage: filesystem\n'), [])
  t.same(faultsOf(t, 'version: 0.2\nstorage: filesystem\n'), [
    'version: "0.2" is not a version that Berth knows; write version: 0.1',
  ])
})

t.test('values of the wrong type are told without showing what may be a secret', async t => {
  refused(t, 'http: {relativeurls: maybe}', 'http.relativeurls: has to be true or false, not "maybe"')
  refused(t, 'catalog: {maxentries: many}', 'catalog.maxentries: has to be a whole number, not "many"')
  refused(t, 'catalog: {maxentries: 1.5}', 'catalog.maxentries: has to be a whole number, not 1.5')
  refused(t, 'http: {secret: [hunter2]}', 'http.secret: has to be text, not a list')
  refused(t, 'http: {headers: {A: hunter2}}', 'http.headers.A: has to be a list as in [a, b], not text')
  refused(t, 'http: hunter2', 'http: has to be a map, not text')
  refused(
    t,
    'health: {file: [null, 5]}',
    'health.file[0].file: is missing',
    'health.file[1]: has to be a map, not a number',
  )
})

t.test('values that no key can have are told with what it can', async t => {
  refused(t, 'log: {level: loud}', 'log.level: "loud" is none of error, warn, info, debug')
  refused(t, 'http: {draintimeout: ten}', 'http.draintimeout: "ten" is not a duration like 10s, 1h30m or 168h')
  refused(t, 'http: {draintimeout: -1s}', /^http.draintimeout: "-1s" is not a duration/)
  refused(
    t,
    'health: {file: [{file: /a, interval: 10}]}',
    'health.file[0].interval: 10 without a unit means nanoseconds; write 10s for seconds',
  )
  refused(t, 'http: {prefix: images}', /^http.prefix: "images" does not begin with a slash/)
  refused(t, 'http: {host: registry.example.com}', /^http.host: "registry.example.com" is not a whole URL/)
  refused(t, 'http: {addr: "5000"}', /^http.addr: "5000" is not an address/)
  refused(t, 'http: {net: udp}', 'http.net: "udp" is none of tcp, unix')
  refused(t, 'http: {net: unix}', 'http.addr: is missing: with http.net unix it is the path of the socket')
  refused(t, 'tags: {maxtags: -1}', 'tags.maxtags: has to be at least 0')
  refused(t, 'database: {poolsize: 0}', 'database.poolsize: has to be at least 1')
  refused(
    t,
    'validation: {manifests: {urls: {deny: ["("]}}}',
    /^validation.manifests.urls.deny\[0\]: "\(" does not compile/,
  )
  refused(t, 'validation: {manifests: {indexes: {platforms: some}}}', /platforms: "some" is none of all, none, list$/)
})

t.test('settings of TLS that do not go together are faults', async t => {
  const pair = 'certificate: a.crt, key: a.key'
  refused(t, 'http: {tls: {certificate: a.crt}}', /^http.tls.key: is missing/)
  refused(t, 'http: {tls: {key: a.key}}', /^http.tls.certificate: is missing/)
  refused(t, 'http: {tls: {clientcas: [ca.pem]}}', /^http.tls.clientcas: asks for client certificates/)
  refused(t, `http: {tls: {${pair}, minimumtls: ssl3}}`, /^http.tls.minimumtls: "ssl3" is none of tls1.0, /)
  refused(
    t,
    `http: {tls: {${pair}, clientauth: maybe}}`,
    /^http.tls.clientauth: "maybe" is none of request-client-cert, /,
  )
  refused(
    t,
    `http: {tls: {${pair}, ciphersuites: [TLS_RSA_WITH_AES]}}`,
    /"TLS_RSA_WITH_AES" is unknown; the nearest known one is TLS_/,
  )
  refused(
    t,
    `http: {tls: {${pair}, ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}}`,
    /^http.tls.ciphersuites: names only suites that OpenSSL has no more/,
  )
})

t.test('a file that is not YAML is told with the line, and keys that stand twice are too', async t => {
  t.match(faultsOf(t, 'version: 0.1\nstorage: {filesystem\n'), [/ at line 3, column 1$/])
  t.match(faultsOf(t, `${least}log: {level: info}\nlog: {level: debug}\n`), [/Map keys must be unique at line 4/])
  t.match(faultsOf(t, 'filesystem\n'), [/^the file has to be a map of keys, beginning with version: 0.1$/])
})

t.test('things asked for that Berth will not do are refused, and not asking for them is fine', async t => {
  refused(
    t,
    'compatibility: {schema1: {enabled: true}}',
    /^compatibility.schema1.enabled: Berth takes no manifests of schema 1/,
  )
  refused(t, 'auth: silly', /^auth.silly: Berth has no scheme "silly", which lets in whoever sends anything/)
  refused(t, 'auth: {silly: {realm: a, service: b}}', /^auth.silly: Berth has no scheme "silly"/)
  refused(t, 'reporting: {bugsnag: {apikey: x}}', /^reporting.bugsnag: Berth does not report to Bugsnag/)
  t.same(loadText(t, `${least}compatibility: {schema1: {enabled: false}}\nreporting:\n`).notes, [
    'reporting has no effect: Berth reports to nobody',
    'compatibility has no effect: Berth takes no manifests of schema 1',
  ])
})

t.test('who may do what is said in one way, with all that it needs', async t => {
  const htpasswd = 'htpasswd: {path: users}'
  const token = "token: {realm: 'https://a', service: b, issuer: c, jwks: keys.json}"
  refused(t, 'auth: htpasswd', 'auth.htpasswd.path: is missing')
  refused(t, `auth: {${htpasswd}, ${token}}`, 'auth: names htpasswd and token where one has to stand')
  refused(t, `auth: {${htpasswd}, accounts: {}}`, 'auth: names htpasswd and accounts where one has to stand')
  const alone = 'auth.access: stands beside htpasswd, or alone where clients have certificates; not here'
  for (const other of [token, 'accounts: {}', 'none: {}']) refused(t, `auth: {access: {path: a}, ${other}}`, alone)
  refused(
    t,
    'auth: {token: {service: b, issuer: c}}',
    /^auth.token.realm: is missing: the URL at which clients get tokens; or set autoredirect: true$/,
    /^auth.token.rootcertbundle: is missing: a PEM file of certificates .*; or give jwks/,
  )
  refused(
    t,
    'auth: {token: {autoredirect: true, jwks: a}}',
    'auth.token.service: is missing',
    'auth.token.issuer: is missing',
  )
  refused(
    t,
    'auth: {token: {realm: a, service: b, issuer: c, jwks: d, signingalgorithms: [HS256]}}',
    /^auth.token.signingalgorithms\[0\]: "HS256" is none of|^auth.token.signingalgorithms\[0\]: "HS256" is unknown/,
  )
  refused(
    t,
    'auth: {token: {autoredirect: true, autoredirectpath: token, service: b, issuer: c, jwks: d}}',
    'auth.token.autoredirectpath: "token" is not a path like /auth/token',
  )
  refused(
    t,
    'auth: {htpasswd: {path: a, realm: "a\\nb"}}',
    /^auth.htpasswd.realm: has characters that a header can not carry/,
  )
  refused(
    t,
    "auth: {htpasswd: {path: a, realm: '\u00fc'}}",
    /^auth.htpasswd.realm: has characters that a header can not carry/,
  )
  refused(t, 'auth: {accounts: {secretkey: short}}', /^auth.accounts.secretkey: has to have 16 characters at least/)
  refused(
    t,
    'auth: {accounts: {}}\ndatabase: {url: "postgresql://a/b"}',
    /^auth.accounts.secretkey: is missing: with a database of your own, every process needs the same/,
  )
  for (const auth of [htpasswd, token, 'access: {path: a}', `access: {path: a}, ${htpasswd}`, 'accounts: {}'])
    t.same(faultsOf(t, `${least}auth: {${auth}}\n`), [], auth)
})

t.test('who may do what is said by the environment as in registry:2', async t => {
  const env = {
    REGISTRY_AUTH: 'htpasswd',
    REGISTRY_AUTH_HTPASSWD_REALM: 'Realm',
    REGISTRY_AUTH_HTPASSWD_PATH: '/users',
  }
  t.strictSame(loadText(t, least, env).config.auth, { htpasswd: { realm: 'Realm', path: '/users' } })
  const token = {
    REGISTRY_AUTH: 'token',
    REGISTRY_AUTH_TOKEN_REALM: 'https://auth/token',
    REGISTRY_AUTH_TOKEN_SERVICE: 'registry',
    REGISTRY_AUTH_TOKEN_ISSUER: 'auth',
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: '/bundle.pem',
  }
  t.match(loadText(t, least, token).config.auth, {
    token: { realm: 'https://auth/token', rootcertbundle: '/bundle.pem', autoredirect: false, signingalgorithms: [] },
  })
  t.equal(loadText(t, least, { REGISTRY_AUTH: 'none' }).config.auth, undefined)
  t.match(faultsOf(t, least, { REGISTRY_AUTH: 'htpasswd' }), [
    /^auth.htpasswd.path: is missing \(set by REGISTRY_AUTH\)/,
  ])
})

t.test('later work is refused where it is asked for', async t => {
  t.match(faultsOf(t, 'version: 0.1\nstorage: oss\n'), [/^storage\.oss: Berth has no .* yet\. Use /])
  refused(t, 'redis: {addr: "a:1"}', /^redis: /)
  refused(t, 'proxy: {remoteurl: "https://a"}', /^proxy: /)
  refused(t, 'notifications: {endpoints: [{url: http://a}]}', /^notifications.endpoints: /)
  refused(
    t,
    'middleware: {registry: [{name: a}], repository: [{name: b}]}',
    /^middleware.registry: /,
    /^middleware.repository: /,
  )
  refused(t, 'policy: {repository: {classes: [image]}}', /^policy.repository.classes: /)
  refused(t, 'log: {hooks: [{type: mail}]}', /^log.hooks: /)
  refused(t, 'http: {tls: {letsencrypt: {cachefile: /a}}}', /^http.tls.letsencrypt: /)
  refused(t, 'http: {debug: {addr: ":5001"}}', /^http.debug: /)
  refused(t, 'http: {debug: {prometheus: {enabled: true}}}', /^http.debug: /)
  refused(t, 'http: {h2c: {enabled: true}}', /^http.h2c.enabled: /)
})

t.test('later work that is switched off or empty loads', async t => {
  const { notes } = loadText(
    t,
    `${least}
auth: none
redis: {}
proxy:
notifications: {endpoints: [{url: http://a, disabled: true}]}
middleware: {storage: [{name: a, disabled: true}]}
policy: {repository: {classes: []}}
log: {hooks: [{type: mail, disabled: true}]}
http: {debug: , h2c: {enabled: false}, tls: {letsencrypt: }}
`,
  )
  t.same(notes, ['http.tls has no effect without a certificate and a key'])
})
