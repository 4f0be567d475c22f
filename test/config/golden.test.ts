import { readFileSync } from 'node:fs'
import t from 'tap'
import { ConfigError } from '../../server/config/config.ts'
import { describeConfig } from '../../server/config/describe.ts'
import { loadConfig } from '../../server/config/load.ts'

function fixture(name: string): string {
  return new URL(`fixtures/${name}`, import.meta.url).pathname
}

/** What an operator would be shown about a file: what is in force with the notes, or everything that is refused. */
function outcome(path: string): string {
  try {
    const { config, notes, warnings } = loadConfig({ argument: path, env: {}, cwd: '/srv' })
    return [...warnings, ...notes].map(line => `# ${line}\n`).join('') + describeConfig(config)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return `${error.faults.join('\n')}\n`
  }
}

for (const version of ['2.6', '2.7', '3']) {
  t.test(`of every key of registry ${version}, those of later work are refused and no other`, async t => {
    const golden = readFileSync(fixture(`registry-${version}.refused.txt`), 'utf8')
    t.equal(outcome(fixture(`registry-${version}.yml`)), golden)
  })
}

for (const version of ['2.6', '2.7', '2.8', '3']) {
  t.test(`the keys of registry ${version} that Berth has are in force as they were meant`, async t => {
    const golden = readFileSync(fixture(`registry-${version}.in-force.txt`), 'utf8')
    t.equal(outcome(fixture(`registry-${version}.in-force.yml`)), golden)
  })
}

t.test('the configuration inside the image of registry:2 loads', async t => {
  const file = t.testdir({
    'config.yml': `
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`,
  })
  const { config, warnings, notes } = loadConfig({ argument: `${file}/config.yml`, env: {} })
  t.match(config, {
    data: '/var/lib/registry',
    log: { fields: { service: 'registry' } },
    http: { addr: { port: 5000 }, headers: { 'X-Content-Type-Options': ['nosniff'] } },
    health: { storagedriver: { enabled: true, interval: 10_000, threshold: 3 } },
  })
  t.same(warnings, [])
  t.same(notes, ['storage.cache has no effect: what registry:2 caches is in Postgres'])
})

const seedEnvironment = {
  REGISTRY_HTTP_ADDR: '0.0.0.0:443',
  REGISTRY_STORAGE: 'swift',
  REGISTRY_STORAGE_SWIFT_AUTHURL: 'https://keystone.example.com/v3',
  REGISTRY_STORAGE_SWIFT_USERNAME: 'registry',
  REGISTRY_STORAGE_SWIFT_PASSWORD: 'swift-password',
  REGISTRY_STORAGE_SWIFT_CONTAINER: 'images',
}

const seedAccess = {
  REGISTRY_AUTH: 'htpasswd',
  REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
  REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
}

t.test('the deployment with Swift and htpasswd loads', async t => {
  const env = { ...seedEnvironment, ...seedAccess }
  const { config, warnings, notes } = loadConfig({ argument: fixture('seed-swift.yml'), env, cwd: '/srv' })
  t.strictSame(config.auth, { htpasswd: { realm: 'Registry Realm', path: '/auth/htpasswd' } })
  t.match(config.storage.driver, { name: 'swift', options: { container: 'images' } })
  t.same([...warnings, ...notes], [])
})

t.test('the same deployment without users loads', async t => {
  const { config, warnings, notes } = loadConfig({
    argument: fixture('seed-swift.yml'),
    env: seedEnvironment,
    cwd: '/srv',
  })
  t.match(config, {
    data: '/srv/data',
    http: {
      addr: { host: '0.0.0.0', port: 443 },
      tls: { certificate: '/certs/domain.crt', key: '/certs/domain.key', minimumtls: 'TLSv1.2' },
    },
    storage: {
      driver: {
        name: 'swift',
        options: {
          auth: { url: 'https://keystone.example.com/v3', username: 'registry', password: 'swift-password' },
          container: 'images',
        },
      },
    },
    health: { storagedriver: { enabled: true, interval: 10_000, threshold: 3 } },
  })
  t.same([...warnings, ...notes], [])
})

t.test('the same deployment loads on a file system', async t => {
  const { config } = loadConfig({
    argument: fixture('seed-swift.yml'),
    env: { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/images' },
  })
  t.match(config, {
    data: '/images',
    storage: { driver: { name: 'filesystem', options: { rootdirectory: '/images' } } },
  })
})
