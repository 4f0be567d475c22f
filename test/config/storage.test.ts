import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { describeConfig } from '../../server/config/describe.ts'
import { type Env, least, loadText } from './load-text.ts'

const MiB = 2 ** 20

/** What a section of `storage` is turned into, and what an environment laid over it changes. */
function load(t: Test, storage: string, env: Env = {}) {
  return loadText(t, `version: 0.1\nstorage: ${storage}\n`, env)
}

function driverOf(t: Test, storage: string, env: Env = {}) {
  return load(t, storage, env).config.storage.driver
}

function optionsOf(t: Test, storage: string, env: Env = {}) {
  return driverOf(t, storage, env).options
}

const s3Defaults = {
  section: 'storage.s3',
  bucket: 'images',
  region: 'eu-west-1',
  pathStyle: false,
  rootdirectory: '',
  chunkSize: 10 * MiB,
  parallel: 4,
  tls: { skipVerify: false },
  dualstack: false,
  accelerate: false,
  fips: false,
  createBucket: true,
  contentKeys: false,
  bulkDelete: true,
}

t.test('files are below the data folder, or where they are told to be', async t => {
  const { config } = load(t, 'filesystem')
  t.strictSame(config.storage.driver, { name: 'filesystem', options: { rootdirectory: config.data } })
  t.strictSame(driverOf(t, '{filesystem: {rootdirectory: /images}}'), {
    name: 'filesystem',
    options: { rootdirectory: '/images' },
  })
})

t.test('with another driver the data folder is the one that is named, or ./data', async t => {
  const storage = '{s3: {bucket: images, region: eu-west-1}}'
  t.match(load(t, storage).config.data, /\/data$/)
  t.equal(load(t, storage, { BERTH_DATA: '/state' }).config.data, '/state')
})

t.test('S3 at Amazon needs no more than a bucket and its region', async t => {
  for (const name of ['s3', 's3aws', 's3goamz']) {
    t.strictSame(
      driverOf(t, `{${name}: {bucket: images, region: eu-west-1}}`),
      { name: 's3', options: s3Defaults },
      name,
    )
  }
})

t.test('every parameter of S3 arrives', async t => {
  const storage = `
  s3:
    accesskey: 0123
    secretkey: 1e5
    sessiontoken: token
    region: eu-west-1
    bucket: 42
    encrypt: true
    keyid: key
    skipverify: true
    v4auth: true
    chunksize: '20971520'
    multipartcopychunksize: 33554432
    multipartcopymaxconcurrency: 100
    multipartcopythresholdsize: 33554432
    rootdirectory: /registry
    storageclass: standard_ia
    useragent: registry
    objectacl: bucket-owner-full-control
    usedualstack: true
    accelerate: yes
    usefipsendpoint: true
    loglevel: off
    redirectendpoint: https://cdn.example.com
    parallel: 16
    createbucket: false
    contentkeys: true
    bulkdelete: false`
  const { config, notes } = load(t, storage)
  t.strictSame(config.storage.driver.options, {
    section: 'storage.s3',
    bucket: '42',
    region: 'eu-west-1',
    redirectEndpoint: 'https://cdn.example.com',
    pathStyle: false,
    credentials: { accessKey: '0123', secretKey: '1e5', sessionToken: 'token' },
    rootdirectory: '/registry',
    chunkSize: 20 * MiB,
    parallel: 16,
    tls: { skipVerify: true },
    encryption: { algorithm: 'aws:kms', keyId: 'key' },
    storageClass: 'STANDARD_IA',
    acl: 'bucket-owner-full-control',
    userAgent: 'registry',
    dualstack: true,
    accelerate: true,
    fips: true,
    createBucket: false,
    contentKeys: true,
    bulkDelete: false,
  })
  t.strictSame(notes, [
    'storage.s3.v4auth has no effect: requests are always signed by version 4',
    'storage.s3.multipartcopychunksize has no effect: blobs are written where they stay, and never copied',
    'storage.s3.multipartcopymaxconcurrency has no effect: blobs are written where they stay, and never copied',
    'storage.s3.multipartcopythresholdsize has no effect: blobs are written where they stay, and never copied',
    'storage.s3.loglevel has no effect: log.level is that of all Berth',
  ])
})

t.test('a server that is not Amazon takes any region, and buckets in the path', async t => {
  const table: Record<string, { endpoint: string; pathStyle: boolean; region: string }> = {
    'regionendpoint: minio.test:9000': { endpoint: 'https://minio.test:9000', pathStyle: true, region: 'us-east-1' },
    'regionendpoint: minio.test:9000, secure: false': {
      endpoint: 'http://minio.test:9000',
      pathStyle: true,
      region: 'us-east-1',
    },
    'regionendpoint: "http://minio.test/", region: here': {
      endpoint: 'http://minio.test',
      pathStyle: true,
      region: 'here',
    },
    'regionendpoint: "https://s3.test/path", forcepathstyle: false': {
      endpoint: 'https://s3.test/path',
      pathStyle: false,
      region: 'us-east-1',
    },
  }
  for (const [keys, expected] of Object.entries(table)) {
    t.strictSame(optionsOf(t, `{s3: {bucket: images, ${keys}}}`), { ...s3Defaults, ...expected }, keys)
  }
  t.match(optionsOf(t, '{s3: {bucket: images, region: eu-west-1, forcepathstyle: true}}'), { pathStyle: true })
})

t.test('what S3 is not told is left out of its requests', async t => {
  const options = (keys: string) => optionsOf(t, `{s3: {bucket: images, region: eu-west-1, ${keys}}}`)
  t.match(options('encrypt: true'), { encryption: { algorithm: 'AES256' } })
  t.strictSame(options('storageclass: NONE'), s3Defaults)
  const { config, notes } = load(t, '{s3aws: {bucket: images, region: eu-west-1, keyid: key}}')
  t.strictSame(config.storage.driver.options, s3Defaults)
  t.strictSame(notes, ['storage.s3aws.keyid has no effect without encrypt: true'])
})

t.test('a role is assumed by keys, or by what the machine has', async t => {
  const credentials = (keys: string) => {
    const { name, options } = driverOf(t, `{s3: {bucket: images, region: eu-west-1, ${keys}}}`)
    return name === 's3' && options.credentials
  }
  t.strictSame(credentials('rolearn: "arn:aws:iam::1:role/a"'), { role: 'arn:aws:iam::1:role/a' })
  t.strictSame(credentials('rolearn: "arn:aws:iam::1:role/a", accesskey: id, secretkey: key'), {
    role: 'arn:aws:iam::1:role/a',
    accessKey: 'id',
    secretKey: 'key',
  })
  t.equal(credentials('accesskey: "", secretkey: ""'), undefined)
})

t.test('the environment fills a driver that it names', async t => {
  const { config, warnings } = loadText(t, least, {
    REGISTRY_STORAGE: 's3',
    REGISTRY_STORAGE_S3_BUCKET: 'images',
    REGISTRY_STORAGE_S3_REGIONENDPOINT: 'http://minio:9000',
    REGISTRY_STORAGE_S3_ACCESSKEY: '0123',
    REGISTRY_STORAGE_S3_SECRETKEY: 'key',
    REGISTRY_STORAGE_S3_CHUNKSIZE: '"5242880"',
    REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'no',
    REGISTRY_STORAGE_DELETE_ENABLED: 'false',
  })
  t.strictSame(warnings, [])
  t.strictSame(config.storage.driver.options, {
    ...s3Defaults,
    region: 'us-east-1',
    endpoint: 'http://minio:9000',
    credentials: { accessKey: '0123', secretKey: 'key' },
    chunkSize: 5 * MiB,
  })
  t.equal(config.storage.delete.enabled, false)
})

t.test('RADOS is the S3 API of its gateway', async t => {
  const keys = 'accesskey: id, secretkey: key, bucket: images'
  const options = {
    ...s3Defaults,
    section: 'storage.rados',
    region: 'us-east-1',
    endpoint: 'http://rgw:7480',
    pathStyle: true,
    credentials: { accessKey: 'id', secretKey: 'key' },
  }
  t.strictSame(driverOf(t, `{rados: {endpoint: 'http://rgw:7480', ${keys}}}`), { name: 's3', options })
  t.strictSame(optionsOf(t, `{rados: {regionendpoint: 'rgw:7480', secure: false, ${keys}}}`), options)
  t.strictSame(
    optionsOf(
      t,
      `{rados: {endpoint: rgw, region: here, forcepathstyle: false, storageclass: COLD, encrypt: true, keyid: a, rootdirectory: b, ${keys}}}`,
    ),
    {
      ...options,
      endpoint: 'https://rgw',
      region: 'here',
      pathStyle: false,
      storageClass: 'COLD',
      encryption: { algorithm: 'aws:kms', keyId: 'a' },
      rootdirectory: 'b',
    },
  )
})

t.test('Google is spoken to like S3, with HMAC keys', async t => {
  const { config, notes } = load(
    t,
    '{gcs: {bucket: images, accesskey: GOOG1, secretkey: key, chunksize: 5242880, rootdirectory: /a, maxconcurrency: 50}}',
  )
  t.strictSame(config.storage.driver, {
    name: 's3',
    options: {
      ...s3Defaults,
      section: 'storage.gcs',
      endpoint: 'https://storage.googleapis.com',
      region: 'auto',
      pathStyle: true,
      credentials: { accessKey: 'GOOG1', secretKey: 'key' },
      chunkSize: 5 * MiB,
      rootdirectory: '/a',
      createBucket: false,
      bulkDelete: false,
    },
  })
  t.strictSame(notes, ['storage.gcs.maxconcurrency has no effect: parallel bounds the parts of each upload'])
})

const swiftDefaults = {
  auth: { url: 'http://gw/auth/v1', username: 'kube:registry', password: 'secretkey' },
  endpointType: 'public',
  container: 'images',
  prefix: '',
  chunkSize: 20 * MiB,
  parallel: 4,
  tls: { skipVerify: false },
  tempUrl: { containerKey: false },
  createContainer: true,
}

t.test('Swift is made from four variables, as deployments of registry:2 have it', async t => {
  const { config, notes, warnings } = loadText(t, least, {
    REGISTRY_STORAGE: 'swift',
    REGISTRY_STORAGE_SWIFT_AUTHURL: 'http://gw/auth/v1',
    REGISTRY_STORAGE_SWIFT_USERNAME: 'kube:registry',
    REGISTRY_STORAGE_SWIFT_PASSWORD: 'secretkey',
    REGISTRY_STORAGE_SWIFT_CONTAINER: 'images',
  })
  t.strictSame(config.storage.driver, { name: 'swift', options: swiftDefaults })
  t.strictSame([...notes, ...warnings], [])
})

t.test('every parameter of Swift arrives', async t => {
  const storage = `
  swift:
    authurl: https://keystone:5000/v3
    username: 1
    password: 0123
    container: 2
    tenant: 1234
    tenantid: 0x10
    domain: default
    domainid: 3
    tenantdomain: 4
    tenantdomainid: 5
    trustid: 6
    region: fr
    authversion: '3'
    endpointtype: Internal
    insecureskipverify: true
    chunksize: 1048576
    rootdirectory: registry
    secretkey: key
    accesskey: unused
    tempurlcontainerkey: true
    tempurlmethods: [GET, HEAD]
    userid: 7
    storageurl: https://swift/v1/AUTH_a
    parallel: 1
    createcontainer: false`
  const { config, notes } = load(t, storage)
  t.strictSame(config.storage.driver.options, {
    auth: {
      url: 'https://keystone:5000/v3',
      version: 3,
      username: '1',
      userId: '7',
      password: '0123',
      tenant: '1234',
      tenantId: '0x10',
      domain: 'default',
      domainId: '3',
      tenantDomain: '4',
      tenantDomainId: '5',
      trustId: '6',
    },
    region: 'fr',
    endpointType: 'internal',
    storageUrl: 'https://swift/v1/AUTH_a',
    container: '2',
    prefix: 'registry',
    chunkSize: MiB,
    parallel: 1,
    tls: { skipVerify: true },
    tempUrl: { key: 'key', containerKey: true, methods: ['GET', 'HEAD'] },
    createContainer: false,
  })
  t.strictSame(notes, [
    'storage.swift.accesskey has no effect: it belonged to the temporary URLs of the HP Cloud, which has closed',
  ])
})

t.test('Swift takes application credentials in place of a user', async t => {
  const credential = (keys: string) => {
    const { name, options } = driverOf(t, `{swift: {authurl: 'http://k/v3', container: a, ${keys}}}`)
    return name === 'swift' && options.auth
  }
  t.strictSame(credential('applicationcredentialid: i, applicationcredentialsecret: s'), {
    url: 'http://k/v3',
    applicationCredential: { id: 'i', secret: 's' },
  })
  t.strictSame(credential('applicationcredentialname: n, applicationcredentialsecret: s, username: u, domainid: d'), {
    url: 'http://k/v3',
    username: 'u',
    domainId: 'd',
    applicationCredential: { name: 'n', secret: 's' },
  })
})

const azureDefaults = {
  accountName: 'account',
  container: 'images',
  credentials: { type: 'shared_key', accountKey: 'key' },
  realm: 'core.windows.net',
  rootdirectory: '',
  chunkSize: 10 * MiB,
  parallel: 4,
  tls: { skipVerify: false },
  createContainer: true,
}

t.test('Azure is made from an account, a key and a container', async t => {
  const { config } = loadText(t, least, {
    REGISTRY_STORAGE: 'azure',
    REGISTRY_STORAGE_AZURE_ACCOUNTNAME: 'account',
    REGISTRY_STORAGE_AZURE_ACCOUNTKEY: 'key',
    REGISTRY_STORAGE_AZURE_CONTAINER: 'images',
  })
  t.strictSame(config.storage.driver, { name: 'azure', options: azureDefaults })
})

t.test('every parameter of Azure arrives', async t => {
  const storage = `
  azure:
    accountname: account
    container: images
    rootdirectory: /registry
    realm: core.chinacloudapi.cn
    serviceurl: http://127.0.0.1:10000/account/
    skipverify: true
    max_retries: 7
    retry_delay: 1s
    sastoken: '?sv=2024&sig=abc'
    chunksize: 1048576
    parallel: 2
    createcontainer: false
    connectionstring: AccountKey=hunter2
    copy_status_poll_max_retry: 3
    copy_status_poll_delay: 5s`
  const { config, notes } = load(t, storage)
  t.strictSame(config.storage.driver.options, {
    accountName: 'account',
    container: 'images',
    credentials: { type: 'sas_token', token: 'sv=2024&sig=abc' },
    realm: 'core.chinacloudapi.cn',
    serviceUrl: 'http://127.0.0.1:10000/account',
    rootdirectory: '/registry',
    chunkSize: MiB,
    parallel: 2,
    tls: { skipVerify: true },
    createContainer: false,
  })
  t.strictSame(notes, [
    'storage.azure.max_retries has no effect: what may pass is tried again for half a minute',
    'storage.azure.retry_delay has no effect: what may pass is tried again for half a minute',
    'storage.azure.connectionstring has no effect, as in registry:3: accountname and accountkey say the same',
    'storage.azure.copy_status_poll_max_retry has no effect: blobs are written where they stay, and never copied',
    'storage.azure.copy_status_poll_delay has no effect: blobs are written where they stay, and never copied',
  ])
})

t.test('the credentials of Azure are those of their type, or what is there', async t => {
  const credentials = (keys: string) => {
    const { config, notes } = load(t, `{azure: {accountname: account, container: images, ${keys}}}`)
    const { name, options } = config.storage.driver
    return { of: name === 'azure' && options.credentials, notes }
  }
  const client = 'clientid: c, tenantid: t, secret: s'
  t.strictSame(credentials(`credentials: {type: client_secret, ${client}}`), {
    of: { type: 'client_secret', clientId: 'c', tenantId: 't', secret: 's' },
    notes: [],
  })
  t.strictSame(credentials('credentials: {type: shared_key}, accountkey: key').of, {
    type: 'shared_key',
    accountKey: 'key',
  })
  t.strictSame(credentials('sastoken: sig').of, { type: 'sas_token', token: 'sig' })
  t.strictSame(credentials('rootdirectory: a').of, { type: 'default_credentials' })
  t.strictSame(credentials('accountkey: key, sastoken: sig, credentials: {type: default_credentials}'), {
    of: { type: 'default_credentials' },
    notes: [
      'storage.azure.accountkey has no effect: other credentials are to be used',
      'storage.azure.sastoken has no effect: other credentials are to be used',
    ],
  })
})

t.test('the file of certificate authorities is named by its whole path', async t => {
  for (const storage of [
    '{s3: {bucket: a, regionendpoint: b, cafile: ca.pem}}',
    '{rados: {bucket: a, endpoint: b, accesskey: c, secretkey: d, cafile: ca.pem}}',
    "{swift: {authurl: 'http://a', username: b, password: c, container: d, cafile: ca.pem}}",
    '{azure: {accountname: a, accountkey: b, container: c, cafile: ca.pem}}',
  ]) {
    const { config } = load(t, storage)
    t.equal(config.storage.cafile, join(config.data, '../ca.pem'), storage)
  }
})

/** Sections with a secret in each place that there is for one. */
function sectionsWith(secret: string): string[] {
  return [
    `s3: {bucket: a, regionendpoint: "b:9000", secure: no, accesskey: ${secret}, secretkey: ${secret}, sessiontoken: ${secret}, cafile: ca.pem}`,
    `s3aws: {bucket: a, region: eu-west-1, accesskey: ${secret}, secretkey: ${secret}, rolearn: "arn:aws:iam::1:role/a", storageclass: glacier_ir}`,
    `rados: {bucket: a, endpoint: rgw, accesskey: ${secret}, secretkey: ${secret}}`,
    `gcs: {bucket: a, accesskey: ${secret}, secretkey: ${secret}}`,
    `swift: {authurl: "http://a/v3", username: b, password: ${secret}, container: c, secretkey: ${secret}, authversion: 3, rootdirectory: d}`,
    `swift: {authurl: "http://a/v3", container: c, applicationcredentialid: ${secret}, applicationcredentialsecret: ${secret}}`,
    `azure: {accountname: a, accountkey: ${secret}, container: c, connectionstring: ${secret}}`,
    `azure: {accountname: a, sastoken: ${secret}, container: c}`,
    `azure: {accountname: a, container: c, credentials: {type: client_secret, clientid: b, tenantid: d, secret: ${secret}}}`,
  ]
}

t.test('what is in force is printed without secrets, and loads into the same but for them', async t => {
  const masked = sectionsWith('"***"')
  for (const [index, section] of sectionsWith('hunter2').entries()) {
    const printed = describeConfig(load(t, `{${section}}`).config)
    t.notMatch(printed, /hunter2/, section)
    const again = loadText(t, printed)
    t.strictSame(again.config.storage, load(t, `{${masked[index]}}`).config.storage, section)
    t.strictSame(again.notes, [], section)
  }
})

t.test('defaults are printed, and settings that follow from others as they are in force', async t => {
  const { config } = load(
    t,
    '{s3goamz: {bucket: a, regionendpoint: "b:9000", secure: no, multipartcopychunksize: 5242880}}',
  )
  t.strictSame(parse(describeConfig(config)).storage.s3, {
    bucket: 'a',
    region: 'us-east-1',
    regionendpoint: 'http://b:9000',
    forcepathstyle: true,
    encrypt: false,
    secure: false,
    skipverify: false,
    chunksize: 10_485_760,
    usedualstack: false,
    accelerate: false,
    usefipsendpoint: false,
    parallel: 4,
    createbucket: true,
    contentkeys: false,
    bulkdelete: true,
  })
})
