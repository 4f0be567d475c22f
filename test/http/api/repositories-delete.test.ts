import t from 'tap'
import { makeSession } from '../../helpers/accounts.ts'
import { basic, type Login } from '../../helpers/docker.ts'
import { image, randomBlob } from '../../helpers/images.ts'
import { expecting, loginOf, newRepository, pull, pushAs, startWorld, type World } from './world.ts'

const owner = loginOf('owner')
const writer = loginOf('writer')

for (const sole of [true, false]) {
  const kind = sole ? 'a process that is alone' : 'one of several processes'

  t.test(
    `${kind}: nothing of a deleted repository is pulled any more, and a new one has only what is pushed anew`,
    async t => {
      const { clients, url, content } = await startWorld(t, { sole })
      const [layer] = content.layers
      const paths = [
        'team/app/manifests/latest',
        `team/app/manifests/${content.manifest.digest}`,
        `team/app/blobs/${layer?.digest}`,
        'team/app/tags/list',
      ]
      // Twice: now all is remembered.
      for (let round = 0; round < 2; round++) for (const path of paths) t.equal(await pull(url, owner, path), 200, path)
      await expecting(204, clients.owner.delete('/repository/team/app'))
      for (const path of paths) t.equal(await pull(url, owner, path), 404, path)
      for (const path of paths) t.equal(await pull(url, loginOf('reader'), path), 403, path)
      t.equal((await clients.owner.get('/repository/team/app')).status, 404)
      t.equal((await clients.owner.delete('/repository/team/app')).status, 404)

      const other = image()
      await pushAs(url, owner, 'team/app', other, 'new')
      for (const path of paths.slice(0, 3)) t.equal(await pull(url, owner, path), 404, path)
      t.equal(await pull(url, owner, 'team/app/manifests/new'), 200)
      t.equal(await pull(url, owner, `team/app/manifests/${other.manifest.digest}`), 200)
      // The permissions were the old one's.
      t.equal(await pull(url, loginOf('reader'), 'team/app/manifests/new'), 403)

      await pushAs(url, owner, 'team/app', content, 'latest')
      for (const path of paths) t.equal(await pull(url, owner, path), 200, path)
    },
  )

  t.test(`${kind}: another repository stays as it was`, async t => {
    const { clients, url, content } = await startWorld(t, { sole })
    await pushAs(url, owner, 'team/app/inner', content, 'latest')
    await pushAs(url, owner, 'team/app2', content, 'latest')
    await expecting(204, clients.owner.delete('/repository/team/app'))
    for (const repository of ['team/app/inner', 'team/app2'])
      for (const path of ['manifests/latest', `blobs/${content.config.digest}`])
        t.equal(await pull(url, owner, `${repository}/${path}`), 200, `${repository}/${path}`)
  })

  t.test(`${kind}: an upload to a deleted repository ends, and brings nothing back`, async t => {
    const world = await startWorld(t, { sole })
    const { clients, url } = world
    const upload = await beginUpload(world, writer, 'team/app')
    await expecting(204, clients.owner.delete('/repository/team/app'))
    // The writer may not make repositories here.
    t.equal((await upload.finish(writer)).status, 403)
    t.equal(await pull(url, owner, 'team/app/tags/list'), 404)

    // Another one of the same name: it gets nothing of what was begun for the old one.
    await expecting(201, clients.owner.post('/repository', { ...newRepository, namespace: 'team', repository: 'app' }))
    await expecting(200, clients.owner.put('/repository/team/app/permissions/user/writer', { role: 'write' }))
    t.equal((await upload.finish(writer)).status, 404)
    t.equal(await pull(url, owner, `team/app/blobs/${upload.digest}`), 404)
    const fresh = await beginUpload(world, writer, 'team/app')
    t.equal((await fresh.finish(writer)).status, 201)
  })

  t.test(
    `${kind}: a token that was given before does not make the repository anew for who could only write`,
    async t => {
      const { clients, url } = await startWorld(t, { sole })
      const token = await tokenFor(url, writer, 'repository:team/app:pull,push')
      const blob = randomBlob()
      const push = () =>
        fetch(`${url}/v2/team/app/blobs/uploads/?digest=${blob.digest}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}` },
          body: new Uint8Array(blob.bytes),
        })
      t.equal((await push()).status, 201)
      await expecting(204, clients.owner.delete('/repository/team/app'))
      t.equal((await push()).status, 403)
      t.equal((await clients.owner.get('/repository/team/app')).status, 404)

      const ownToken = await tokenFor(url, owner, 'repository:team/app:pull,push')
      const { status } = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${blob.digest}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ownToken}` },
        body: new Uint8Array(blob.bytes),
      })
      t.equal(status, 201, 'who may make it does')
    },
  )

  t.test(`${kind}: while pushes and pulls go on, what was answered as deleted is never shown`, async t => {
    const world = await startWorld(t, { sole })
    const { clients, url } = world
    for (let round = 0; round < 5; round++) {
      const content = image()
      await pushAs(url, owner, 'team/busy', content, 'latest')
      const path = `team/busy/manifests/${content.manifest.digest}`
      let deleted = false
      const seen: boolean[] = []
      const pullers = Array.from({ length: 4 }, async () => {
        for (let more = 20; more > 0; more -= deleted ? 5 : 1) {
          const since = deleted
          if ((await pull(url, owner, path)) === 200) seen.push(since)
        }
      })
      await expecting(204, clients.owner.delete('/repository/team/busy'))
      deleted = true
      await Promise.all(pullers)
      t.notOk(seen.includes(true), 'nothing was pulled after the answer')
    }
  })
}

t.test('where the database goes away in the middle of a deletion, nothing is remembered that is gone', async t => {
  const { clients, url, content, database, services } = await startWorld(t, { sole: true })
  const path = `team/app/manifests/${content.manifest.digest}`
  for (let round = 0; round < 2; round++) t.equal(await pull(url, owner, path), 200)
  // The statement is done there, and its answer is lost here.
  const { changes } = services.access
  const lost = new Error('the connection was lost')
  await t.rejects(
    changes.removing(
      name => name === 'team/app',
      async () => {
        await expecting(204, clients.owner.delete('/repository/team/app'))
        throw lost
      },
    ),
    lost,
  )
  t.equal(await pull(url, owner, path), 404)
  // For a while nothing of that name is remembered, so that a deletion that comes late is seen.
  await pushAs(url, owner, 'team/app', content, 'latest')
  for (let round = 0; round < 2; round++) t.equal(await pull(url, owner, path), 200)
  await database.change({
    name: 'delete_late',
    text: `update repositories set name = '~deleted/' || id, deleted_at = now(), namespace_id = null where name = 'team/app'`,
  })
  t.equal(await pull(url, owner, path), 404)
  t.equal(await pull(url, owner, `team/app/blobs/${content.config.digest}`), 404)
})

t.test('a deletion leaves neither stars nor permissions, and the namespace can go', async t => {
  const { clients, database, ...registry } = await startWorld(t)
  await expecting(201, clients.reader.post('/user/starred', { namespace: 'team', repository: 'app' }))
  await expecting(204, clients.owner.delete('/repository/team/app'))
  const left = await database.row<{ permissions: number; stars: number; deleted: number }>({
    name: 'left',
    text: `select (select count(*) from repository_permissions) as permissions, (select count(*) from stars) as stars,
                  (select count(*) from repositories where deleted_at is not null and name like '~deleted/%') as deleted`,
  })
  t.strictSame({ ...left }, { permissions: 0, stars: 0, deleted: 1 })
  await pushAs(registry.url, owner, 'team/other', image(), 'latest')
  await expecting(204, clients.owner.delete('/organization/team'))
  t.equal(await pull(registry.url, owner, 'team/other/manifests/latest'), 403)
  const again = await makeSession({ ...registry, database }, 'later')
  await expecting(201, again.post('/organization/', { name: 'team', email: 'later@example.com' }))
  t.equal((await again.get('/repository?namespace=team')).status, 200)
  t.strictSame((await again.get('/repository?namespace=team')).body, { repositories: [] })
})

/** An upload that has its bytes and is not finished. */
async function beginUpload({ url }: World, login: Login, repository: string) {
  const { bytes, digest } = randomBlob()
  const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers: basic(login) })
  const location = new URL(begun.headers.get('location') ?? '', url).href
  const sent = await fetch(location, { method: 'PATCH', headers: basic(login), body: new Uint8Array(bytes) })
  if (begun.status !== 202 || sent.status !== 202) throw new Error(`not begun: ${begun.status}, ${sent.status}`)
  const end = new URL(sent.headers.get('location') ?? '', url)
  end.searchParams.set('digest', digest)
  return { digest, finish: (by: Login) => fetch(end, { method: 'PUT', headers: basic(by) }) }
}

/** A Bearer token of `/v2/auth`. */
async function tokenFor(url: string, login: Login, scope: string): Promise<string> {
  const response = await fetch(`${url}/v2/auth?service=berth&scope=${encodeURIComponent(scope)}`, {
    headers: basic(login),
  })
  const { token } = (await response.json()) as { token: string }
  return token
}
