import t, { type Test } from 'tap'
import { faultsOf } from './load-text.ts'

/** Asserts that a section of `storage` is refused for these reasons. */
function refused(t: Test, section: string, ...faults: (string | RegExp)[]): void {
  const found = faultsOf(t, `version: 0.1\nstorage: {${section}}\n`)
  t.equal(found.length, faults.length, `${section}: ${found.join('\n')}`)
  t.match(found, faults, section)
}

const amazon = 'bucket: a, region: eu-west-1'

t.test('what a driver can not do without is told', async t => {
  refused(t, 's3: ', 'storage.s3.bucket: is missing', /^storage\.s3\.region: is missing: name the region of the bucket/)
  refused(
    t,
    's3: {bucket: a}',
    /^storage\.s3\.region: is missing: name the region of the bucket or, .* regionendpoint$/,
  )
  refused(
    t,
    'rados: {bucket: a}',
    'storage.rados.accesskey: is missing',
    'storage.rados.secretkey: is missing',
    /^storage\.rados\.endpoint: is missing: it is the URL of the RADOS Gateway/,
  )
  refused(
    t,
    'swift:',
    'storage.swift.authurl: is missing',
    'storage.swift.container: is missing',
    'storage.swift.username: is missing',
    'storage.swift.password: is missing',
  )
  refused(t, 'azure:', 'storage.azure.accountname: is missing', 'storage.azure.container: is missing')
  refused(t, 'gcs: {bucket: a}', 'storage.gcs.accesskey: is missing', 'storage.gcs.secretkey: is missing')
})

t.test('a variable that names a driver without its parameters is told as such', async t => {
  t.same(
    faultsOf(t, 'version: 0.1\nstorage: filesystem\n', { REGISTRY_STORAGE: 's3', REGISTRY_STORAGE_S3_REGION: 'x' }),
    ['storage.s3.bucket: is missing (set by REGISTRY_STORAGE)'],
  )
})

t.test('an unknown parameter is told with the nearest known one', async t => {
  refused(
    t,
    `s3: {${amazon}, pathstyle: true}`,
    /^storage\.s3\.pathstyle: unknown key; .* storage\.s3\.forcepathstyle$/,
  )
  refused(
    t,
    `s3aws: {${amazon}, Bucket: a}`,
    'storage.s3aws.Bucket: unknown key; the nearest known one is storage.s3aws.bucket',
  )
  refused(
    t,
    'azure: {accountname: a, container: b, credentials: {clientsecret: c}}',
    /^storage\.azure\.credentials\.clientsecret: unknown key; the nearest known one is storage\.azure\.credentials\.\w+$/,
  )
})

t.test('numbers have their limits', async t => {
  refused(
    t,
    `s3: {${amazon}, chunksize: 5242879}`,
    'storage.s3.chunksize: has to be from 5242880 to 5368709120, not 5242879',
  )
  refused(t, `s3: {${amazon}, chunksize: 5368709121}`, /^storage\.s3\.chunksize: has to be from 5242880 to 5368709120/)
  refused(t, `s3: {${amazon}, chunksize: 10MB}`, 'storage.s3.chunksize: has to be a whole number, not "10MB"')
  refused(t, `s3: {${amazon}, parallel: 0}`, 'storage.s3.parallel: has to be from 1 to 16, not 0')
  refused(t, `s3: {${amazon}, parallel: 17}`, 'storage.s3.parallel: has to be from 1 to 16, not 17')
  const swift = "authurl: 'http://a', username: b, password: c, container: d"
  refused(t, `swift: {${swift}, chunksize: 1048575}`, /^storage\.swift\.chunksize: has to be from 1048576 to /)
  refused(t, `swift: {${swift}, authversion: 4}`, 'storage.swift.authversion: has to be from 0 to 3, not 4')
})

t.test('servers are told apart from what is none, without showing what may be a secret', async t => {
  const server = 'is not a server, as in https://store.example.com:9000 or store.example.com:9000'
  for (const text of ['ftp://a', 'https://me:hunter2@a', 'https://a/?b', 'a b', 'http://']) {
    refused(t, `s3: {bucket: a, regionendpoint: '${text}'}`, `storage.s3.regionendpoint: ${server}`)
  }
  refused(
    t,
    `s3: {${amazon}, redirectendpoint: cdn.test}`,
    /^storage\.s3\.redirectendpoint: is not the URL of a server without a path/,
  )
  refused(t, `s3: {${amazon}, redirectendpoint: 'https://cdn.test/a'}`, /without a path, as in https:\/\/store/)
  refused(
    t,
    'swift: {authurl: keystone, username: b, password: c, container: d}',
    'storage.swift.authurl: is not the URL of a server, as in https://store.example.com:9000',
  )
})

t.test('keys that only have a meaning together are faults alone', async t => {
  refused(t, `s3: {${amazon}, accesskey: a}`, 'storage.s3.secretkey: is missing: accesskey is of no use without it')
  refused(t, `s3: {${amazon}, secretkey: a}`, 'storage.s3.accesskey: is missing: secretkey is of no use without it')
  refused(t, `s3: {${amazon}, sessiontoken: a}`, /^storage\.s3\.sessiontoken: is of no use without the accesskey/)
  refused(
    t,
    `s3: {${amazon}, accesskey: a, secretkey: b, sessiontoken: c, rolearn: d}`,
    'storage.s3.sessiontoken: does not go with rolearn; remove one of the two',
  )
  refused(t, `s3: {${amazon}, secure: false}`, /^storage\.s3\.secure: false is for a server in regionendpoint/)
  for (const key of ['usedualstack', 'accelerate', 'usefipsendpoint']) {
    refused(
      t,
      `s3: {bucket: a, regionendpoint: b, ${key}: true}`,
      new RegExp(`^storage\\.s3\\.${key}: is for Amazon alone`),
    )
  }
  refused(
    t,
    `s3: {${amazon}, accelerate: true, forcepathstyle: true}`,
    /^storage\.s3\.accelerate: does not go with forcepathstyle/,
  )
})

t.test('what Berth does otherwise is refused with what to do', async t => {
  refused(
    t,
    `s3: {${amazon}, v4auth: false}`,
    /^storage\.s3\.v4auth: Berth signs requests by version 4 alone; remove the key/,
  )
  refused(
    t,
    'rados: {poolname: a, username: b, chunksize: 5242880}',
    'storage.rados.bucket: is missing',
    'storage.rados.accesskey: is missing',
    'storage.rados.secretkey: is missing',
    /^storage\.rados\.endpoint: is missing/,
    /^storage\.rados\.poolname: Berth speaks to Ceph by the S3 API of its gateway, not by librados; write endpoint, bucket/,
  )
  for (const key of ['keyfile: /a.json', 'credentials: {private_key: hunter2}']) {
    refused(
      t,
      `gcs: {bucket: a, accesskey: b, secretkey: c, ${key}}`,
      /^storage\.gcs\.(keyfile|credentials): Berth speaks to Google by HMAC keys, .* `gcloud storage hmac create .* accesskey and secretkey$/,
    )
  }
  refused(
    t,
    'inmemory:',
    /^storage\.inmemory: Berth has no storage in memory: .* Use storage\.filesystem .* on a tmpfs\.$/,
  )
  refused(t, 'oss: {bucket: a}', /^storage\.oss: Berth has no storage in Aliyun OSS yet\. Use another store/)
})

t.test('two names for one thing must not say two things', async t => {
  const rados = 'bucket: a, accesskey: b, secretkey: c'
  refused(
    t,
    `rados: {${rados}, endpoint: a, regionendpoint: b}`,
    /^storage\.rados\.regionendpoint: is another name for endpoint/,
  )
  refused(t, `rados: {${rados}, endpoint: a, regionendpoint: a}`)
  const swift = "authurl: 'http://a', username: b, password: c, container: d"
  refused(
    t,
    `swift: {${swift}, prefix: a, rootdirectory: b}`,
    /^storage\.swift\.rootdirectory: is another name for prefix/,
  )
  refused(t, `swift: {${swift}, prefix: a, rootdirectory: a}`)
})

function swift(keys: string): string {
  return `swift: {authurl: 'http://a', container: b, ${keys}}`
}

t.test('application credentials of Swift have to be whole', async t => {
  refused(t, swift('applicationcredentialid: c'), 'storage.swift.applicationcredentialsecret: is missing')
  refused(
    t,
    swift('applicationcredentialsecret: c'),
    /^storage\.swift\.applicationcredentialid: is missing: it says whose/,
  )
  refused(
    t,
    swift('applicationcredentialname: c, applicationcredentialsecret: d'),
    /^storage\.swift\.username: is missing: a credential/,
  )
  refused(
    t,
    swift('applicationcredentialid: c, applicationcredentialsecret: d, authversion: 2'),
    /^storage\.swift\.authversion: has to be 3, or left out/,
  )
})

function azure(keys: string): string {
  return `azure: {accountname: a, container: b, ${keys}}`
}

t.test('the type of credentials of Azure asks for what belongs to it', async t => {
  refused(
    t,
    azure('credentials: {type: shared_key}'),
    /^storage\.azure\.accountkey: is missing: credentials\.type shared_key/,
  )
  refused(
    t,
    azure('credentials: {type: sas_token}'),
    /^storage\.azure\.sastoken: is missing: credentials\.type sas_token/,
  )
  refused(
    t,
    azure('credentials: {type: client_secret, clientid: c}'),
    /^storage\.azure\.credentials\.tenantid: is missing: credentials\.type client_secret/,
    /^storage\.azure\.credentials\.secret: is missing/,
  )
  refused(
    t,
    azure('credentials: {clientid: c, secret: d}'),
    /^storage\.azure\.credentials\.type: is missing: it is one of shared_key, /,
  )
  refused(
    t,
    azure('credentials: {type: default}'),
    /^storage\.azure\.credentials\.type: "default" is none of shared_key, /,
  )
})
