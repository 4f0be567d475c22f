import { join } from 'node:path'
import t from 'tap'
import { attempt } from '../conformance/process.ts'
import { findProgram, projectFolder } from '../conformance/programs.ts'
import { startDebianPostgres } from './helpers/postgres.ts'
import { needs } from './helpers/needs.ts'
import { startBerth } from './helpers/processes.ts'

t.test(
  'on Debian’s Postgres 15 the conformance program passes as on the embedded one',
  { timeout: 120_000 },
  async t => {
    const url = await startDebianPostgres(t)
    if (url === undefined) {
      needs(t, '/usr/lib/postgresql/15/bin/postgres')
      return
    }
    if (findProgram('oci-conformance') === undefined && process.env['OCI_CONFORMANCE'] === undefined) {
      needs(t, 'oci-conformance')
      return
    }
    const berth = await startBerth(t, { env: { DB_URI: url, REGISTRY_VALIDATION_MANIFESTS_SPARSE: 'true' } })
    const script = join(projectFolder, 'conformance/oci.ts')
    const run = await attempt(process.execPath, [script, '--registry', berth.host], { seconds: 100 })
    t.match(run.stdout, /^52 passed, 0 failed$/m)
    t.equal(run.code, 0)
    t.notMatch(berth.stdout(), /embedded postgres/, 'the embedded one was not started')
  },
)
