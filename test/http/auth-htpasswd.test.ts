import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import t, { type Test } from 'tap'
import { image, randomBlob } from '../helpers/images.ts'
import { startRegistry } from '../helpers/registry.ts'
import { asking, basic } from './asking.ts'
import { until } from './connection.ts'

const line = (name: string, password: string) => `${name}:${hashSync(password, 4)}\n`

/** A registry with the users `alice` (secret) and `bob` (other). */
async function start(t: Test, realm?: string) {
  const path = join(t.testdir(), 'users')
  await writeFile(path, line('alice', 'secret') + line('bob', 'other'))
  const htpasswd = { path, ...(realm === undefined ? {} : { realm }) }
  const { url, services } = await startRegistry(t, { auth: { htpasswd } })
  return {
    path,
    url,
    services,
    nobody: asking(url),
    alice: asking(url, { authorization: basic('alice', 'secret') }),
    bob: asking(url, { authorization: basic('bob', 'other') }),
  }
}

t.test('who says nothing is asked for a password, by the realm of the configuration', async t => {
  const { url, nobody } = await start(t, 'Registry "R"')
  for (const path of ['/v2/', '/v2/_catalog', '/v2/a/manifests/latest', '/v2/a/tags/list']) {
    const { status, headers, body } = await nobody.ask('GET', path)
    t.equal(status, 401, path)
    t.equal(headers['www-authenticate'], 'Basic realm="Registry \\"R\\""')
    t.match(JSON.parse(body), { errors: [{ code: 'UNAUTHORIZED' }] })
  }
  t.equal((await nobody.ask('POST', '/v2/a/blobs/uploads/')).status, 401)
  for (const path of ['/', '/livez', '/readyz'])
    t.equal((await fetch(url + path)).status, 200, 'health is for everyone')
})

t.test('a wrong password is refused, then the right one is taken, for everything', async t => {
  const { url, nobody, alice, bob } = await start(t)
  const wrong = await asking(url, { authorization: basic('alice', 'wrong') }).ask('GET', '/v2/')
  t.equal(wrong.status, 401)
  t.equal(wrong.headers['www-authenticate'], 'Basic realm="Berth"')
  const unknown = await asking(url, { authorization: basic('nobody', 'secret') }).ask('GET', '/v2/')
  t.strictSame(unknown.seen, wrong.seen, 'an unknown user is told no more than a wrong password')

  t.equal((await alice.ask('GET', '/v2/')).status, 200)
  const pushed = image()
  t.equal(await alice.push('a/b', pushed), 201)
  t.equal((await bob.ask('GET', '/v2/a/b/manifests/latest')).status, 200)
  t.match(JSON.parse((await bob.ask('GET', '/v2/_catalog')).body), { repositories: ['a/b'] })
  t.equal((await nobody.ask('GET', '/v2/a/b/manifests/latest')).status, 401)
  t.equal((await nobody.ask('GET', `/v2/a/b/blobs/${pushed.config.digest}`)).status, 401)
  t.equal((await bob.ask('DELETE', '/v2/a/b/manifests/latest')).status, 202)
})

t.test('credentials that can not be understood are refused like wrong ones', async t => {
  const { url } = await start(t)
  for (const authorization of [
    'Basic',
    'Basic !!',
    'Basic YWxpY2U=',
    'Bearer token',
    'Digest username="alice"',
    'x'.repeat(9000),
  ]) {
    const { status, headers } = await asking(url, { authorization }).ask('GET', '/v2/')
    t.equal(status, 401, authorization.slice(0, 30))
    t.equal(headers['www-authenticate'], 'Basic realm="Berth"')
  }
})

t.test('a user who is added works without a restart, and one who is taken away does not', async t => {
  const { url, path, alice } = await start(t)
  const carol = asking(url, { authorization: basic('carol', 'new') })
  t.equal((await carol.ask('GET', '/v2/')).status, 401)
  await appendFile(path, line('carol', 'new'))
  t.equal((await carol.ask('GET', '/v2/')).status, 200)
  t.equal((await alice.ask('GET', '/v2/')).status, 200)
  await writeFile(path, line('carol', 'new'))
  await until(async () => (await alice.ask('GET', '/v2/')).status === 401)
  t.equal((await carol.ask('GET', '/v2/')).status, 200)
})

t.test('an upload is for the one alone who has begun it', async t => {
  const { alice, bob } = await start(t)
  const blob = randomBlob()
  const begun = await alice.ask('POST', '/v2/a/blobs/uploads/')
  t.equal(begun.status, 202)
  const place = String(begun.headers.location)
  const before = await bob.ask('GET', place.replace(/[0-9a-f]{12}$/, '000000000000'))
  t.equal(before.status, 404)
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const body = method === 'PATCH' ? { body: blob } : {}
    t.strictSame((await bob.ask(method, place, body)).status, 404, method)
  }
  t.equal((await bob.ask('PUT', `${place}?digest=${blob.digest}`, { body: blob })).status, 404)
  t.equal((await alice.ask('PUT', `${place}?digest=${blob.digest}`, { body: blob })).status, 201)
})

t.test('who guesses has to wait, and the one who is known goes on', async t => {
  const { url, alice } = await start(t)
  t.equal((await alice.ask('GET', '/v2/')).status, 200)
  const guesser = asking(url, { authorization: basic('alice', 'guess') })
  const statuses: number[] = []
  for (let guess = 0; guess < 7; guess++) statuses.push((await guesser.ask('GET', '/v2/')).status)
  t.same(statuses, [401, 401, 401, 401, 401, 429, 429])
  const waiting = await guesser.ask('GET', '/v2/')
  t.match(waiting.headers['retry-after'], /^\d+$/)
  t.match(JSON.parse(waiting.body), { errors: [{ code: 'TOOMANYREQUESTS' }] })
  t.equal((await alice.ask('GET', '/v2/')).status, 200)
})

t.test('a request of known credentials is decided without a promise', async t => {
  const { services, alice } = await start(t)
  t.equal((await alice.ask('GET', '/v2/')).status, 200)
  const caller = { authorization: basic('alice', 'secret'), address: '127.0.0.1', certificate: undefined }
  t.strictSame(services.access.guard.identify(caller), { kind: 'named', name: 'alice', groups: [] })
})
