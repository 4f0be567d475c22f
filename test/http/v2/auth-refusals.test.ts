import t, { type Test } from 'tap'
import { ask } from '../../../conformance/http.ts'
import { basic, bearer, makePublic, outcome, pushImage, tokenOf } from '../../helpers/access.ts'
import { type AccountsRegistry, makeUser, password, startWithAccounts } from '../../helpers/accounts.ts'

/** A registry of its own for each test: failures count for the address. */
async function withAlice(t: Test): Promise<AccountsRegistry> {
  const registry = await startWithAccounts(t)
  await makeUser(registry, 'alice')
  const alice = basic('alice', password)
  for (const name of ['alice/public', 'alice/private']) await pushImage(registry.url, alice, name)
  await makePublic(registry, 'alice/public')
  return registry
}

t.test('wrong credentials are refused everywhere, where none are needed as well', async t => {
  const { url } = await withAlice(t)
  const wrong = [
    basic('alice', 'wrongpass123'),
    basic('nobody', password),
    basic('alice+nobody', password),
    basic('$app', 'X'.repeat(64)),
    basic('$oauthtoken', 'X'.repeat(40)),
    basic('$token', 'X'.repeat(40)),
    bearer('X'.repeat(40)),
    bearer('a.b.c'),
    { authorization: 'Digest x' },
  ]
  const paths = [
    '/v2/',
    '/v2/_catalog',
    '/v2/alice/public/tags/list',
    '/v2/alice/public/manifests/1',
    '/v2/alice/private/manifests/1',
    '/v2/no/such/manifests/1',
    '/v2/auth?scope=repository:alice/public:pull',
  ]
  for (const headers of wrong)
    for (const path of paths)
      t.match(
        outcome(await ask(url + path, { headers })),
        /^(401 UNAUTHORIZED|429 TOOMANYREQUESTS)$/,
        `${path} ${headers['authorization']}`,
      )
})

t.test('after five wrong passwords one has to wait, but not who is known', async t => {
  const { url } = await withAlice(t)
  const good = basic('alice', password)
  t.equal((await ask(`${url}/v2/`, { headers: good })).status, 200)
  const outcomes = []
  for (let at = 0; at < 6; at++) outcomes.push(await ask(`${url}/v2/`, { headers: basic('alice', `guess-${at}xx`) }))
  const last = outcomes.at(-1)
  t.same(outcomes.map(outcome), [...Array(5).fill('401 UNAUTHORIZED'), '429 TOOMANYREQUESTS'])
  t.match(last?.headers['retry-after'], /^\d+$/)
  t.equal((await ask(`${url}/v2/`, { headers: good })).status, 200, 'the right password was seen before')
})

t.test('what was drawn is never kept waiting by others who guess', async t => {
  const registry = await withAlice(t)
  const { url } = registry
  const { code } = await registry.operations.appTokens.create(
    (await registry.operations.users.find('alice')).id,
    'laptop',
  )
  for (let at = 0; at < 8; at++) await ask(`${url}/v2/`, { headers: basic('$app', 'X'.repeat(64)) })
  t.equal(outcome(await ask(`${url}/v2/`, { headers: basic('$app', 'X'.repeat(64)) })), '429 TOOMANYREQUESTS')
  t.equal((await ask(`${url}/v2/`, { headers: basic('$app', code) })).status, 200)
})

t.test('a user that is not there takes as long as a wrong password, a robot as long as its wrong token', async t => {
  const { url } = await withAlice(t)
  const timeOf = async (name: string) => {
    const times = []
    for (let at = 0; at < 4; at++) {
      const started = performance.now()
      t.equal(outcome(await ask(`${url}/v2/`, { headers: basic(name, `guess-${at}xx`) })), '401 UNAUTHORIZED')
      times.push(performance.now() - started)
    }
    return Math.min(...times)
  }
  const [there, missing] = [await timeOf('alice'), await timeOf('mallory')]
  t.ok(missing > there * 0.5 && missing < there * 2, `${there} ms, ${missing} ms`)
})

t.test('what is forbidden looks as what is not there', async t => {
  const registry = await withAlice(t)
  const { url } = registry
  await makeUser(registry, 'bob')
  const bob = basic('bob', password)
  const token = (await tokenOf(url, bob, { scope: ['repository:alice/private:pull', 'repository:alice/missing:pull'] }))
    .token
  for (const headers of [{}, bob, bearer(token)]) {
    for (const rest of [
      'manifests/1',
      'tags/list',
      `blobs/sha256:${'0'.repeat(64)}`,
      `referrers/sha256:${'0'.repeat(64)}`,
    ]) {
      const answers = []
      for (const name of ['alice/private', 'alice/missing', 'nobody/missing']) {
        const { status, headers: said, body } = await ask(`${url}/v2/${name}/${rest}`, { headers })
        const challenge = said['www-authenticate']?.replace(name, 'NAME')
        answers.push({ status, challenge, body: body.toString().replaceAll(name, 'NAME') })
      }
      t.same(answers[1], answers[0], `${rest} of a missing repository`)
      t.same(answers[2], answers[0], `${rest} in a missing namespace`)
      t.ok([401, 403].includes(answers[0]?.status ?? 0))
    }
  }
})
