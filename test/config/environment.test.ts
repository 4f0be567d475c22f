import t from 'tap'
import { ConfigSchema } from '../../server/config/config.ts'
import { overlayEnvironment } from '../../server/config/environment.ts'
import { at } from '../../server/config/tree.ts'
import { type Env, faultsOf, least, loadText } from './load-text.ts'

/** What the environment makes of a tree, sections that do not load yet included. */
function overlay(tree: unknown, env: Env) {
  return overlayEnvironment(ConfigSchema, tree, env)
}

t.test('a variable of a section is applied before those of what is in it', async t => {
  const { tree } = overlay(
    {},
    {
      REGISTRY_LOG_LEVEL: 'debug',
      REGISTRY_LOG: '{level: error, formatter: json}',
      REGISTRY_LOG_FORMATTER: 'logstash',
    },
  )
  t.same(tree, { log: { level: 'debug', formatter: 'logstash' } })
})

t.test('the parts of a name walk down the file', async t => {
  const { config } = loadText(t, least, {
    REGISTRY_HTTP_TLS_CERTIFICATE: '/certs/a.crt',
    REGISTRY_HTTP_TLS_KEY: '/certs/a.key',
    REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: '24h',
    REGISTRY_CATALOG_MAXENTRIES: '50',
  })
  t.match(config, {
    http: { tls: { certificate: '/certs/a.crt', key: '/certs/a.key' } },
    storage: { maintenance: { uploadpurging: { enabled: true, age: 86_400_000, interval: 86_400_000 } } },
    catalog: { maxentries: 50 },
  })
})

t.test("keys which the original's program calls otherwise answer to both names", async t => {
  const both: [Env, string, unknown][] = [
    [{ REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM: 'a@b' }, 'log.hooks', [{ options: { from: 'a@b' } }]],
    [{ REGISTRY_LOG_HOOKS_0_OPTIONS_FROM: 'a@b' }, 'log.hooks', [{ options: { from: 'a@b' } }]],
    [{ REGISTRY_HEALTH_FILECHECKERS_0_FILE: '/f' }, 'health.file', [{ file: '/f' }]],
    [{ REGISTRY_HEALTH_FILE_0_FILE: '/f' }, 'health.file', [{ file: '/f' }]],
    [{ REGISTRY_HEALTH_HTTPCHECKERS_0_URI: 'http://a' }, 'health.http', [{ uri: 'http://a' }]],
    [{ REGISTRY_HEALTH_HTTP_0_URI: 'http://a' }, 'health.http', [{ uri: 'http://a' }]],
    [{ REGISTRY_HEALTH_TCPCHECKERS_0_ADDR: 'a:1' }, 'health.tcp', [{ addr: 'a:1' }]],
    [{ REGISTRY_HEALTH_TCP_0_ADDR: 'a:1' }, 'health.tcp', [{ addr: 'a:1' }]],
    [
      { REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true' },
      'notifications.events',
      { includereferences: true },
    ],
    [{ REGISTRY_NOTIFICATIONS_EVENTS_INCLUDEREFERENCES: 'true' }, 'notifications.events', { includereferences: true }],
  ]
  for (const [env, path, expected] of both) {
    const { tree, warnings } = overlay({}, env)
    t.same(at(tree, path), expected, Object.keys(env).join())
    t.same(warnings, [])
  }
})

t.test('keys of redis stand right below it', async t => {
  const { tree } = overlay({}, { REGISTRY_REDIS_ADDRS: '[a:1, b:2]', REGISTRY_REDIS_PASSWORD: 'secret' })
  t.same(tree, { redis: { addrs: ['a:1', 'b:2'], password: 'secret' } })
})

t.test('in a map of free keys an existing one is found whatever its case, and a new one is in lower case', async t => {
  const { tree } = overlay(
    { http: { headers: { 'X-Content-Type-Options': ['nosniff'] } } },
    { 'REGISTRY_HTTP_HEADERS_X-CONTENT-TYPE-OPTIONS': '[other]', 'REGISTRY_HTTP_HEADERS_X-Frame-Options': '[DENY]' },
  )
  t.same(tree, { http: { headers: { 'X-Content-Type-Options': ['other'], 'x-frame-options': ['DENY'] } } })
})

t.test('fields of the log are a map of free keys too', async t => {
  const { tree } = overlay(
    { log: { fields: { Rack: 1 } } },
    { REGISTRY_LOG_FIELDS_SERVICE: 'a', REGISTRY_LOG_FIELDS_RACK: '2' },
  )
  t.same(tree, { log: { fields: { Rack: 2, service: 'a' } } })
})

t.test('parameters of drivers have their types', async t => {
  const { tree, warnings } = overlay(
    { storage: { s3: { bucket: 'one' } } },
    {
      REGISTRY_STORAGE_S3_BUCKET: '2',
      REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'yes',
      REGISTRY_STORAGE_S3_CHUNKSIZE: '"5242880"',
      REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE: 'shared_key',
      REGISTRY_STORAGE_S3_CREDENTIALS: 'x',
    },
  )
  t.same(tree, {
    storage: {
      s3: { bucket: '2', forcepathstyle: true, chunksize: 5_242_880 },
      azure: { credentials: { type: 'shared_key' } },
    },
  })
  t.same(warnings, ['REGISTRY_STORAGE_S3_CREDENTIALS is ignored: it names no key of the configuration'])
})

t.test('elements of lists are named by number, the next one is appended', async t => {
  const { tree } = overlay(
    {},
    {
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: 'first',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL: 'http://first',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_1_URL: 'http://second',
    },
  )
  t.same(tree, {
    notifications: { endpoints: [{ name: 'first', url: 'http://first' }, { url: 'http://second' }] },
  })
})

t.test('an element that is there is changed in place', async t => {
  const { config } = loadText(t, `${least}health: {file: [{file: /a, interval: 5s}, {file: /b}]}\n`, {
    REGISTRY_HEALTH_FILE_0_INTERVAL: '7s',
  })
  t.same(config.health.file, [
    { file: '/a', interval: 7000, threshold: 1 },
    { file: '/b', interval: 10_000, threshold: 1 },
  ])
})

t.test('a list of plain values is filled by number, as documented and not done by the original', async t => {
  const { tree } = overlay(
    {},
    { REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_0: 'a.example.com', REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS_1: 'b.example.com' },
  )
  t.same(at(tree, 'http.tls.letsencrypt.hosts'), ['a.example.com', 'b.example.com'])
})

t.test('a list in a map takes a second element, on which the original panics', async t => {
  const { tree } = overlay(
    {},
    {
      REGISTRY_MIDDLEWARE_STORAGE_0_NAME: 'redirect',
      REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL: 'https://a',
      REGISTRY_MIDDLEWARE_STORAGE_1_NAME: 'rewrite',
    },
  )
  t.same(at(tree, 'middleware.storage'), [{ name: 'redirect', options: { baseurl: 'https://a' } }, { name: 'rewrite' }])
})

t.test('more than ten elements come in the order of their numbers', async t => {
  const names = Array.from({ length: 12 }, (_, index) => `/ca-${index}.pem`)
  const env = Object.fromEntries(names.map((name, index) => [`REGISTRY_HTTP_TLS_CLIENTCAS_${index}`, name]))
  t.same(at(overlay({}, env).tree, 'http.tls.clientcas'), names)
})

t.test('a number beyond the next one, and a word, are faults', async t => {
  t.same(
    faultsOf(t, least, {
      REGISTRY_HEALTH_FILE_1_FILE: '/a',
      REGISTRY_HEALTH_TCP_ADDR: 'a:1',
    }),
    [
      'REGISTRY_HEALTH_FILE_1_FILE: the list has 0 elements, so 0 is the number of the next one',
      "REGISTRY_HEALTH_TCP_ADDR: ADDR stands where the number of a list's element has to",
    ],
  )
})

t.test('values are YAML of the type of the key', async t => {
  const { config } = loadText(t, least, {
    REGISTRY_HTTP_RELATIVEURLS: 'yes',
    REGISTRY_HTTP_SECRET: '0123',
    REGISTRY_HTTP_DRAINTIMEOUT: '1h30m',
    REGISTRY_HTTP_HEADERS: '{X-A: [one, two], X-B: [true]}',
    REGISTRY_HEALTH_STORAGEDRIVER: 'enabled: true\ninterval: 5s\n',
    REGISTRY_LOG_FIELDS: '{rack: 12, service: registry}',
    REGISTRY_DATABASE_POOLSIZE: '"20"',
  })
  t.match(config, {
    http: {
      relativeurls: true,
      secret: '0123',
      draintimeout: 5_400_000,
      headers: { 'X-A': ['one', 'two'], 'X-B': ['true'] },
    },
    health: { storagedriver: { enabled: true, interval: 5000, threshold: 3 } },
    log: { fields: { rack: 12, service: 'registry' } },
    database: { poolsize: 20 },
  })
})

t.test('an empty value takes back what the file says', async t => {
  const { config } = loadText(t, `${least}log: {level: debug}\nhttp: {secret: abc}\n`, {
    REGISTRY_LOG_LEVEL: '',
    REGISTRY_HTTP_SECRET: '',
  })
  t.equal(config.log.level, 'info')
  t.equal(config.http.secret, undefined)
})

t.test('a value that is not YAML is a fault which does not show it', async t => {
  t.same(faultsOf(t, least, { REGISTRY_HTTP_SECRET: '@hunter2' }), [
    'REGISTRY_HTTP_SECRET: its value is not YAML; put quotes around what is meant literally',
  ])
})

t.test('REGISTRY_STORAGE replaces the whole section by a driver, which further variables fill', async t => {
  const { tree } = overlay(
    { storage: { filesystem: { rootdirectory: '/a' }, delete: { enabled: false } } },
    { REGISTRY_STORAGE: 'swift', REGISTRY_STORAGE_SWIFT_CONTAINER: 'images' },
  )
  t.same(tree, { storage: { swift: { container: 'images' } } })
})

t.test('a variable of a second driver leaves two, which is a fault', async t => {
  t.match(faultsOf(t, least, { REGISTRY_STORAGE_S3_BUCKET: 'images' }), [
    /^storage: names 2 drivers \(filesystem, s3\) where one has to stand; REGISTRY_STORAGE=NAME replaces/,
    /^storage\.s3\.region: is missing/,
  ])
})

t.test('auth follows the same rules', async t => {
  const { tree } = overlay(
    { auth: { none: {} } },
    { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'Realm', REGISTRY_AUTH_HTPASSWD_PATH: '/htpasswd' },
  )
  t.same(tree, { auth: { htpasswd: { realm: 'Realm', path: '/htpasswd' } } })
  t.same(faultsOf(t, least, { REGISTRY_AUTH: 'none' }), [])
})

t.test('each variable that names no key is one warning and no fault', async t => {
  const env = {
    REGISTRY_PORT: 'tcp://10.0.0.1:5000',
    REGISTRY_PORT_5000_TCP_ADDR: '10.0.0.1',
    REGISTRY_SERVICE_HOST: '10.0.0.1',
    REGISTRY_HTTP_PORT: 'tcp://10.0.0.2:5000',
    REGISTRY_HTTP_ADDR_MORE: 'x',
    REGISTRY_STORAGE_PORT: 'tcp://10.0.0.3:5000',
    REGISTRY_: 'x',
    REGISTRY__HTTP: 'x',
  }
  const { warnings, config } = loadText(t, least, env)
  t.same(
    warnings,
    Object.keys(env)
      .toSorted()
      .map(name => `${name} is ignored: it names no key of the configuration`),
  )
  t.same(config, loadText(t, least).config)
})

t.test('variables that do not begin with REGISTRY_ are nobody’s business', async t => {
  t.same(loadText(t, least, { HTTP_ADDR: ':1', XREGISTRY_HTTP_ADDR: ':1', REGISTRYHTTP: 'x' }).warnings, [])
})

t.test('the version can not be overridden', async t => {
  const { config, warnings } = loadText(t, least, { REGISTRY_VERSION: '0.2' })
  t.equal(config.version, '0.1')
  t.same(warnings, ['REGISTRY_VERSION is ignored: the version stands in the file alone'])
  t.match(faultsOf(t, 'storage: filesystem\n', { REGISTRY_VERSION: '0.1' }), [/^version: is missing/])
})

t.test('a fault tells which variable it came from', async t => {
  t.same(faultsOf(t, least, { REGISTRY_HTTP_ADDR: '5000', REGISTRY_LOG: '{levle: info}' }), [
    'log.levle: unknown key; the nearest known one is log.level (set by REGISTRY_LOG)',
    'http.addr: "5000" is not an address like 127.0.0.1:5000 or :5000 (set by REGISTRY_HTTP_ADDR)',
  ])
})

t.test('the database is named by DB_URI, or by the rule', async t => {
  t.equal(loadText(t, least, { DB_URI: 'postgresql://a/one' }).config.database.url, 'postgresql://a/one')
  t.equal(loadText(t, least, { REGISTRY_DATABASE_URL: 'postgres://a/two' }).config.database.url, 'postgres://a/two')
  const { config, warnings } = loadText(t, `${least}database: {url: 'postgres://a/three', poolsize: 3}\n`, {
    DB_URI: 'postgresql://a/one',
    REGISTRY_DATABASE_URL: 'postgres://a/two',
  })
  t.same(config.database, { url: 'postgresql://a/one', poolsize: 3 })
  t.same(warnings, ['REGISTRY_DATABASE_URL is ignored, as DB_URI names the same key and wins'])
})

t.test('a database that is no Postgres is a fault which does not show the password', async t => {
  t.same(faultsOf(t, least, { DB_URI: 'mysql+pymysql://quay:hunter2@db/quay' }), [
    'database.url: is not the URL of a Postgres, as in postgresql://user:password@host:5432/berth (set by DB_URI)',
  ])
})
