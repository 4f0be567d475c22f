import { join } from 'node:path'
import t from 'tap'
import { serverCreator } from '../../server/http/server.ts'
import { silentLog } from '../../server/lib/log.ts'
import { createAuthority, tlsFiles } from './certificates.ts'

const authority = await createAuthority(join(t.testdir(), 'tls'))
const tls = tlsFiles(await authority.sign('server'))

t.test('on each kind of server an upload may take as long as it takes, and an idle connection may not', async t => {
  for (const options of [
    { tls: undefined, http2: true },
    { tls, http2: false },
    { tls, http2: true },
  ]) {
    const server = serverCreator({ ...options, log: silentLog })(() => {})
    t.equal(server.requestTimeout, 0, "Node's five minutes for a whole request")
    t.equal(server.keepAliveTimeout, 75_000)
    t.equal(server.headersTimeout, 60_000)
    // What watches the files ends with the server.
    server.emit('close')
  }
})
