import t, { type Test } from 'tap'
import { stringify } from 'yaml'
import { describeConfig } from '../../server/config/describe.ts'
import { faultsOf, loadText } from './load-text.ts'

const MiB = 2 ** 20

type Parameters = Record<string, unknown>

/** The text of a file whose one store is this. */
function textOf(engine: string, parameters: Parameters, more: object = {}): string {
  return stringify({ version: '0.1', DISTRIBUTED_STORAGE_CONFIG: { default: [engine, parameters] }, ...more })
}

function driverOf(t: Test, engine: string, parameters: Parameters) {
  return loadText(t, textOf(engine, parameters)).config.storage.driver
}

const s3 = {
  section: 'storage.s3',
  bucket: 'quay',
  region: 'us-east-1',
  pathStyle: true,
  rootdirectory: '',
  chunkSize: 10 * MiB,
  parallel: 4,
  tls: { skipVerify: false },
  dualstack: false,
  accelerate: false,
  fips: false,
  createBucket: false,
  contentKeys: false,
  bulkDelete: true,
}
const encryption = { algorithm: 'AES256' }
const amazon = { ...s3, pathStyle: false, encryption }
const keys = { accessKey: 'id', secretKey: 'key' }

t.test('LocalStorage is a folder, and holds everything', async t => {
  const { config } = loadText(t, textOf('LocalStorage', { storage_path: '/datastorage/registry' }))
  t.strictSame(config.storage.driver, { name: 'filesystem', options: { rootdirectory: '/datastorage/registry' } })
  t.equal(config.data, '/datastorage/registry')
})

t.test('S3Storage asks for encryption, and for keys where there are some', async t => {
  t.strictSame(driverOf(t, 'S3Storage', { s3_bucket: 'quay' }), { name: 's3', options: amazon })
  t.strictSame(
    driverOf(t, 'S3Storage', {
      s3_bucket: 'quay',
      storage_path: '/datastorage/registry',
      s3_access_key: 'id',
      s3_secret_key: 'key',
      aws_session_token: 'token',
      s3_region: 'eu-west-1',
      signature_version: 's3v4',
      minimum_chunk_size_mb: '8',
      maximum_chunk_size_gb: 5,
    }).options,
    {
      ...amazon,
      region: 'eu-west-1',
      rootdirectory: 'datastorage/registry',
      chunkSize: 8 * MiB,
      credentials: { ...keys, sessionToken: 'token' },
    },
  )
})

t.test('the host of S3Storage is a server, or tells the region of Amazon', async t => {
  const table: [Parameters, object][] = [
    [{ host: 's3.us-east-2.amazonaws.com' }, { ...amazon, region: 'us-east-2' }],
    [
      { host: 's3-eu-west-1.amazonaws.com', port: 443 },
      { ...amazon, region: 'eu-west-1' },
    ],
    [{ host: 's3.amazonaws.com' }, amazon],
    [
      { host: 's3.amazonaws.com', s3_region: 'eu-central-1' },
      { ...amazon, region: 'eu-central-1' },
    ],
    [{ endpoint_url: 'https://s3.eu-west-1.amazonaws.com/' }, { ...amazon, region: 'eu-west-1' }],
    [
      { host: 's3.test', port: '8443' },
      { ...s3, encryption, endpoint: 'https://s3.test:8443' },
    ],
    [
      { host: 's3.test:9000', port: 443 },
      { ...s3, encryption, endpoint: 'https://s3.test:9000' },
    ],
    [
      { endpoint_url: 'http://s3.test:9000', host: 'x' },
      { ...s3, encryption, endpoint: 'http://s3.test:9000' },
    ],
    [
      { host: 's3.cn-north-1.amazonaws.com.cn', s3_region: 'cn-north-1' },
      { ...s3, encryption, endpoint: 'https://s3.cn-north-1.amazonaws.com.cn', region: 'cn-north-1' },
    ],
  ]
  for (const [parameters, options] of table) {
    t.strictSame(
      driverOf(t, 'S3Storage', { s3_bucket: 'quay', ...parameters }).options,
      options,
      JSON.stringify(parameters),
    )
  }
})

t.test('STSS3Storage assumes a role', async t => {
  const role = { s3_bucket: 'quay', sts_role_arn: 'arn:aws:iam::1:role/quay', s3_region: 'eu-west-1' }
  const options = { ...amazon, region: 'eu-west-1' }
  t.strictSame(driverOf(t, 'STSS3Storage', role).options, { ...options, credentials: { role: role.sts_role_arn } })
  t.strictSame(
    driverOf(t, 'STSS3Storage', { ...role, sts_user_access_key: 'id', sts_user_secret_key: 'key' }).options,
    {
      ...options,
      credentials: { role: role.sts_role_arn, ...keys },
    },
  )
})

t.test('CloudFrontedS3Storage is S3, and a distribution', async t => {
  const { config } = loadText(
    t,
    textOf('CloudFrontedS3Storage', {
      s3_bucket: 'quay',
      s3_access_key: 'id',
      s3_secret_key: 'key',
      cloudfront_distribution_domain: 'd1.cloudfront.net',
      cloudfront_key_id: 'KEY',
      cloudfront_privatekey_filename: '/conf/stack/cloudfront.pem',
    }),
  )
  t.strictSame(config.storage.driver, { name: 's3', options: { ...amazon, credentials: keys } })
  t.strictSame(config.storage.cloudfront, {
    domain: 'd1.cloudfront.net',
    keyId: 'KEY',
    privateKeyFile: '/conf/stack/cloudfront.pem',
  })
})

t.test('the engines for gateways name a server, and ask for no encryption', async t => {
  const parameters = { hostname: 'rgw.test', bucket_name: 'quay', access_key: 'id', secret_key: 'key' }
  const options = { ...s3, endpoint: 'https://rgw.test', credentials: keys }
  for (const engine of ['RadosGWStorage', 'RHOCSStorage', 'IBMCloudStorage']) {
    t.strictSame(driverOf(t, engine, parameters), { name: 's3', options }, engine)
    // As in the documents of Quay, where numbers and switches are text.
    t.strictSame(
      driverOf(t, engine, { ...parameters, is_secure: 'false', port: '8080', maximum_chunk_size_mb: '100mb' }).options,
      { ...options, endpoint: 'http://rgw.test:8080' },
      engine,
    )
  }
  t.strictSame(
    driverOf(t, 'RadosGWStorage', {
      ...parameters,
      hostname: 'http://rgw.test:7480',
      is_secure: true,
      port: 443,
      storage_path: '/a/b/',
      region_name: 'here',
      signature_version: 's3v4',
      minimum_chunk_size_mb: 5,
      server_side_assembly: true,
    }).options,
    { ...options, endpoint: 'http://rgw.test:7480', region: 'here', rootdirectory: 'a/b', chunkSize: 5 * MiB },
  )
})

t.test('GoogleCloudStorage has HMAC keys', async t => {
  t.strictSame(
    driverOf(t, 'GoogleCloudStorage', {
      bucket_name: 'quay',
      access_key: 'id',
      secret_key: 'key',
      storage_path: '/a',
      boto_timeout: 120,
    }).options,
    {
      ...s3,
      section: 'storage.gcs',
      endpoint: 'https://storage.googleapis.com',
      region: 'auto',
      rootdirectory: 'a',
      credentials: keys,
      bulkDelete: false,
    },
  )
})

const swift = {
  auth: { url: 'http://gw/auth/v1', version: 2, username: 'user', password: 'key' },
  endpointType: 'public',
  container: 'quay',
  prefix: '',
  chunkSize: 20 * MiB,
  parallel: 4,
  tls: { skipVerify: false },
  tempUrl: { containerKey: false },
  createContainer: false,
}

t.test('SwiftStorage is of version 2 unless it says otherwise', async t => {
  const parameters = {
    swift_container: 'quay',
    auth_url: 'http://gw/auth/v1',
    swift_user: 'user',
    swift_password: 'key',
  }
  t.strictSame(driverOf(t, 'SwiftStorage', parameters), { name: 'swift', options: swift })
  const auth = (more: Parameters) => {
    const { name, options } = driverOf(t, 'SwiftStorage', { ...parameters, ...more })
    return name === 'swift' && options.auth
  }
  t.strictSame(auth({ auth_version: '1', swift_user: 'kube:registry' }), {
    ...swift.auth,
    version: 1,
    username: 'kube:registry',
  })
  t.strictSame(auth({ swift_user: 'kube:registry' }), { ...swift.auth, tenant: 'kube', username: 'registry' })
  t.strictSame(auth({ swift_user: 'a:b', os_options: { tenant_name: 'kube' } }), {
    ...swift.auth,
    tenant: 'kube',
    username: 'a:b',
  })
})

t.test('the options of SwiftStorage arrive', async t => {
  const { config } = loadText(
    t,
    textOf('SwiftStorage', {
      swift_container: 'quay',
      storage_path: '/datastorage/registry',
      auth_url: 'https://keystone/v3',
      swift_user: 'user',
      swift_password: 'key',
      auth_version: 3,
      ca_cert_path: '/conf/stack/swift.cert',
      temp_url_key: 'temp',
      connect_timeout: 5,
      retry_count: 5,
      retry_on_ratelimit: true,
      simple_path_concat: false,
      os_options: {
        tenant_id: 'ti',
        project_name: 'pn',
        project_domain_id: 'pdi',
        project_domain_name: 'pdn',
        user_id: 'ui',
        user_domain_id: 'udi',
        user_domain_name: 'udn',
        region_name: 'fr',
        endpoint_type: 'internalURL',
        object_storage_url: 'https://swift/v1/AUTH_a',
      },
    }),
  )
  t.strictSame(config.storage.driver.options, {
    ...swift,
    auth: {
      url: 'https://keystone/v3',
      version: 3,
      username: 'user',
      userId: 'ui',
      password: 'key',
      tenant: 'pn',
      tenantId: 'ti',
      domain: 'udn',
      domainId: 'udi',
      tenantDomain: 'pdn',
      tenantDomainId: 'pdi',
    },
    region: 'fr',
    endpointType: 'internal',
    storageUrl: 'https://swift/v1/AUTH_a',
    prefix: 'datastorage/registry',
    tempUrl: { key: 'temp', containerKey: false },
  })
  t.equal(config.storage.cafile, '/conf/stack/swift.cert')
})

t.test('AzureStorage has a key, or a token', async t => {
  const parameters = { azure_container: 'quay', azure_account_name: 'account', storage_path: '/a' }
  const azure = {
    accountName: 'account',
    container: 'quay',
    realm: 'core.windows.net',
    rootdirectory: 'a',
    chunkSize: 10 * MiB,
    parallel: 4,
    tls: { skipVerify: false },
    createContainer: false,
  }
  t.strictSame(driverOf(t, 'AzureStorage', { ...parameters, azure_account_key: 'key' }), {
    name: 'azure',
    options: { ...azure, credentials: { type: 'shared_key', accountKey: 'key' } },
  })
  const endpoint_url = 'https://account.blob.core.usgovcloudapi.net'
  t.strictSame(driverOf(t, 'AzureStorage', { ...parameters, sas_token: '?sig=a', endpoint_url }).options, {
    ...azure,
    serviceUrl: endpoint_url,
    credentials: { type: 'sas_token', token: 'sig=a' },
  })
})

const local = ['LocalStorage', { storage_path: '/a' }]

t.test('one store is in use: the only one, or the only one that the lists name', async t => {
  const rados = ['RadosGWStorage', { hostname: 'b', bucket_name: 'c', access_key: 'd', secret_key: 'e' }]
  const load = (more: object) =>
    loadText(t, stringify({ version: '0.1', DISTRIBUTED_STORAGE_CONFIG: { one: local, two: rados }, ...more }))
  const { config, notes } = load({
    DISTRIBUTED_STORAGE_PREFERENCE: ['two'],
    DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: [],
  })
  t.equal(config.storage.driver.name, 's3')
  t.strictSame(notes, ['DISTRIBUTED_STORAGE_CONFIG.one has no effect: DISTRIBUTED_STORAGE_PREFERENCE does not name it'])
  t.equal(load({ DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: ['one'] }).config.storage.driver.name, 'filesystem')
  const refusal =
    /  - DISTRIBUTED_STORAGE_CONFIG: names 2 stores \(one, two\), and Berth keeps blobs in one; remove the others, or name it alone in DISTRIBUTED_STORAGE_PREFERENCE and DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS$/
  t.throws(() => load({}), refusal)
  t.throws(() => load({ DISTRIBUTED_STORAGE_PREFERENCE: ['one', 'two'] }), refusal)
  t.throws(
    () => load({ DISTRIBUTED_STORAGE_PREFERENCE: ['one'], DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: ['one', 'two'] }),
    refusal,
  )
})

t.test('downloads through the registry are redirects that are switched off', async t => {
  const load = (more: object) => loadText(t, textOf('LocalStorage', { storage_path: '/a' }, more)).config.storage
  t.equal(load({ FEATURE_PROXY_STORAGE: true }).redirect.disable, true)
  t.equal(load({ FEATURE_PROXY_STORAGE: false }).redirect.disable, false)
  t.strictSame(load({ storage: { delete: { enabled: false } } }).delete, { enabled: false })
})

t.test('parameters that do nothing are noted', async t => {
  const parameters = { hostname: 'b', bucket_name: 'c', access_key: 'd', secret_key: 'e', server_side_assembly: true }
  t.strictSame(loadText(t, textOf('RadosGWStorage', parameters)).notes, [
    'DISTRIBUTED_STORAGE_CONFIG.default[1].server_side_assembly has no effect: blobs are written where they stay, and never put together by copies',
  ])
})

t.test('what is in force is printed as a section of storage, without secrets', async t => {
  const parameters = { hostname: 'rgw', bucket_name: 'quay', access_key: 'hunter2', secret_key: 'hunter2' }
  const { config } = loadText(t, textOf('RadosGWStorage', parameters, { FEATURE_PROXY_STORAGE: true }))
  const printed = describeConfig(config)
  t.notMatch(printed, /hunter2|DISTRIBUTED/)
  const masked = textOf(
    'RadosGWStorage',
    { ...parameters, access_key: '***', secret_key: '***' },
    { FEATURE_PROXY_STORAGE: true },
  )
  t.strictSame(loadText(t, printed).config.storage, loadText(t, masked).config.storage)
})

/** Asserts that a store is refused for these reasons; `$` stands for the place of its parameters. */
function refused(t: Test, store: unknown, ...faults: string[]): void {
  const text = stringify({ version: '0.1', DISTRIBUTED_STORAGE_CONFIG: { default: store } })
  const path = 'DISTRIBUTED_STORAGE_CONFIG.default'
  const expected = faults.map(fault => path + fault.replace('$', '[1]'))
  t.strictSame(faultsOf(t, text), expected, JSON.stringify(store))
}

t.test('parameters are checked like everything else', async t => {
  const rados = { hostname: 'b', bucket_name: 'c', access_key: 'd', secret_key: 'e' }
  refused(
    t,
    ['RadosGWStorage', { ...rados, hostnam: 'x' }],
    '$.hostnam: unknown key; the nearest known one is hostname',
  )
  refused(t, ['S3Storage', {}], '$.s3_bucket: is missing')
  refused(
    t,
    ['S3Storage', { s3_bucket: 'a', s3_access_key: 'b' }],
    '$.s3_secret_key: is missing: s3_access_key is of no use without it',
  )
  refused(t, ['RadosGWStorage', { ...rados, is_secure: 'maybe' }], '$.is_secure: has to be true or false, not "maybe"')
  refused(t, ['RadosGWStorage', { ...rados, port: 0 }], '$.port: has to be from 1 to 65535, not 0')
  refused(
    t,
    ['RadosGWStorage', { ...rados, minimum_chunk_size_mb: 4 }],
    '$.minimum_chunk_size_mb: has to be from 5 to 5120, not 4',
  )
  refused(
    t,
    ['RadosGWStorage', { ...rados, signature_version: 's3' }],
    '$.signature_version: "s3" is not the way in which Berth signs requests; write s3v4, or remove the key',
  )
  refused(
    t,
    ['RadosGWStorage', { ...rados, secret_key: 12345 }],
    '$.secret_key: has to be text, not a number; put quotes around it',
  )
  refused(
    t,
    ['AzureStorage', { azure_container: 'a', azure_account_name: 'b' }],
    '$.azure_account_key: is missing; or give sas_token',
  )
  const swift = { swift_container: 'a', auth_url: 'http://b', swift_user: 'c', swift_password: 'd' }
  refused(
    t,
    ['SwiftStorage', { ...swift, os_options: { tenant: 'a' } }],
    '$.os_options.tenant: unknown key; the nearest known one is os_options.tenant_id',
  )
  refused(
    t,
    ['SwiftStorage', { ...swift, auth_version: 'three' }],
    '$.auth_version: has to be a whole number, not "three"',
  )
})

t.test('a store is a list of an engine and its parameters', async t => {
  const list = ': has to be a list of an engine and its parameters, as in [LocalStorage, {storage_path: /data}]'
  refused(t, [{ storage_path: '/a' }], list)
  refused(t, [...local, 'x'], list)
  refused(t, [], list)
  refused(t, { LocalStorage: {} }, list)
  refused(t, ['LocalStorag', {}], '[0]: "LocalStorag" is unknown; the nearest known one is LocalStorage')
  refused(
    t,
    ['MultiCDNStorage', { providers: {} }],
    '[0]: Berth has no MultiCDNStorage yet; write S3Storage with what stands in storage_config',
  )
})

t.test('keys that do not go together are told', async t => {
  const DISTRIBUTED_STORAGE_CONFIG = { default: local }
  const faults = (more: object) => faultsOf(t, stringify({ version: '0.1', ...more }))
  t.strictSame(faults({ DISTRIBUTED_STORAGE_CONFIG, storage: 'filesystem' }), [
    'storage: names filesystem, and DISTRIBUTED_STORAGE_CONFIG says where blobs are too; remove one',
  ])
  t.match(faults({ DISTRIBUTED_STORAGE_CONFIG: {} }), [/^DISTRIBUTED_STORAGE_CONFIG: names no store, as in /])
  t.strictSame(faults({ DISTRIBUTED_STORAGE_CONFIG, DISTRIBUTED_STORAGE_PREFERENCE: ['default', 'other'] }), [
    'DISTRIBUTED_STORAGE_PREFERENCE[1]: names other, which DISTRIBUTED_STORAGE_CONFIG does not have',
  ])
  t.strictSame(faults({ storage: 'filesystem', DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS: ['a'] }), [
    'DISTRIBUTED_STORAGE_DEFAULT_LOCATIONS[0]: names a, which DISTRIBUTED_STORAGE_CONFIG does not have',
  ])
  t.strictSame(
    faults({ DISTRIBUTED_STORAGE_CONFIG, FEATURE_PROXY_STORAGE: true, storage: { redirect: { disable: false } } }),
    ['FEATURE_PROXY_STORAGE: contradicts storage.redirect.disable: false; remove one'],
  )
})

t.test('a variable that names a driver does not stand beside these keys', async t => {
  t.match(faultsOf(t, textOf('LocalStorage', { storage_path: '/a' }), { REGISTRY_STORAGE: 'filesystem' }), [
    /^storage: names filesystem, and DISTRIBUTED_STORAGE_CONFIG .* \(set by REGISTRY_STORAGE\)$/,
  ])
})
