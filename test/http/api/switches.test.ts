import t from 'tap'
import { type ApiClient, signIn, startWithAccounts } from '../../helpers/accounts.ts'
import { startRegistry } from '../../helpers/registry.ts'

const accounts = { superusers: ['admin'], secretkey: 'the key of this test' }

t.test('while the registry is read-only the REST API changes nothing, and one can sign in', async t => {
  const { url, databaseUrl, root } = await startWithAccounts(t, { accounts })
  const other = await startRegistry(t, { databaseUrl, root, auth: { accounts }, access: { readOnly: true } })
  const admin = await signIn(other.url, { username: 'admin', password: 'adminpass123' })
  t.match(await admin.post('/organization/', { name: 'acme' }), {
    status: 503,
    body: { is_readonly: true, message: /read-only/, error_type: 'read_only' },
  })
  t.equal((await admin.get('/user/')).status, 200)
  t.equal((await admin.post('/signin/verify', { password: 'adminpass123' })).status, 200)
  t.equal((await admin.post('/signout')).status, 200)
  const again = await signIn(url, { username: 'admin', password: 'adminpass123' })
  t.equal((await again.get('/organization/acme')).status, 404)
})

t.test('where deleting is switched off the REST API deletes no tag and no repository', async t => {
  const { url } = await startWithAccounts(t, { accounts, access: { deletes: false } })
  const admin = await signIn(url, { username: 'admin', password: 'adminpass123' })
  await makeRepository(admin)
  for (const path of ['/repository/admin/app/tag/latest', '/repository/admin/app'])
    t.match(await admin.delete(path), { status: 400, body: { detail: /storage\.delete\.enabled/ } })
  t.equal((await admin.get('/repository/admin/app')).status, 200)
})

function makeRepository(admin: ApiClient) {
  return admin.post('/repository', { namespace: 'admin', repository: 'app', visibility: 'private', description: '' })
}
