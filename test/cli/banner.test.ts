import t, { type Test } from 'tap'
import { banner } from '../../server/cli/banner.ts'
import { loadText } from '../config/load-text.ts'

/** The banner of a configuration that listens at these addresses. */
function of(t: Test, addresses: string[], settings = ''): string {
  return banner(loadText(t, `version: 0.1\ndata: /srv/berth\nstorage: filesystem\n${settings}`).config, addresses)
}

t.test('on the loopback address it is open to this host', async t => {
  const text = of(t, ['http://127.0.0.1:5000'])
  t.match(text, 'Berth serves at http://127.0.0.1:5000\nData: /srv/berth\n')
  t.match(text, 'podman push --tls-verify=false IMAGE 127.0.0.1:5000/hello:1\n')
  t.match(text, 'docker tag IMAGE 127.0.0.1:5000/hello:1 && docker push 127.0.0.1:5000/hello:1\n')
  t.match(text, 'curl http://127.0.0.1:5000/v2/_catalog\n')
  t.match(text, 'open to everyone on this host, to read and to write')
  t.match(of(t, ['http://[::1]:5000']), 'on this host')
})

t.test('on every interface it is open to whoever reaches it, and names an address that works here', async t => {
  for (const address of ['http://0.0.0.0:5000', 'http://[::]:5000']) {
    const text = of(t, [address])
    t.match(text, 'open to everyone who can reach this address')
    t.match(text, 'curl http://127.0.0.1:5000/v2/_catalog')
    t.match(text, ' 127.0.0.1:5000/hello:1')
  }
  t.match(of(t, ['http://127.0.0.1:5000', 'http://192.0.2.1:5000']), 'who can reach this address')
})

t.test('with TLS clients check the certificate', async t => {
  const text = of(t, ['https://127.0.0.1:5000'], 'http: {tls: {certificate: /c.pem, key: /k.pem}}')
  t.match(text, 'podman push IMAGE 127.0.0.1:5000/hello:1')
  t.notMatch(text, /tls-verify/)
  t.match(text, 'curl --cacert CA.pem https://127.0.0.1:5000/v2/_catalog')
})

t.test('http.host is the name by which it is called', async t => {
  const text = of(t, ['http://127.0.0.1:5000'], 'http: {host: https://registry.test}')
  t.match(text, 'IMAGE registry.test/hello:1')
  t.match(text, 'https://registry.test/v2/_catalog')
})

t.test('below a prefix no image can be named, but it can be looked at', async t => {
  const text = of(t, ['http://127.0.0.1:5000'], 'http: {prefix: /my/}')
  t.match(text, 'Berth serves at http://127.0.0.1:5000, below /my/\n')
  t.match(text, 'curl http://127.0.0.1:5000/my/v2/_catalog')
  t.notMatch(text, /hello:1/)
})

t.test('on a socket', async t => {
  const text = of(t, ['/run/berth.sock'], 'http: {net: unix, addr: /run/berth.sock}')
  t.match(text, 'Berth serves at /run/berth.sock\n')
  t.match(text, 'open to everyone who may open the socket')
  t.notMatch(text, /hello:1|curl/)
})

t.test('who may do what is told, and how one says who one is', async t => {
  const text = (auth: string) => of(t, ['http://127.0.0.1:5000'], `auth: {${auth}}`)
  const htpasswd = text('htpasswd: {path: /users}')
  t.match(htpasswd, '  podman login --tls-verify=false 127.0.0.1:5000\n')
  t.match(htpasswd, 'curl -u NAME http://127.0.0.1:5000/v2/_catalog\n')
  t.match(htpasswd, 'Who has a password in /users may do everything.\n')
  t.match(text('htpasswd: {path: /users}, access: {path: /a.yml}'), 'in /users may do what /a.yml allows.\n')
  t.match(text('access: {path: /a.yml}'), 'Who has a client certificate may do what /a.yml allows.\n')
  t.match(
    text('token: {realm: "https://a", service: b, issuer: auth.test, jwks: c}'),
    'Who has a token of auth.test may do what it says.\n',
  )
  t.match(text('accounts: {}'), 'There are accounts: berth user create makes one.\n')
  for (const auth of ['htpasswd: {path: /users}', 'accounts: {}', 'access: {path: /a.yml}'])
    t.notMatch(text(auth), /open to everyone/)
})

t.test('blobs that have a place of their own are told', async t => {
  const text = of(t, ['http://127.0.0.1:5000'])
  t.notMatch(text, /blobs:/)
  const config = loadText(
    t,
    'version: 0.1\ndata: /srv/berth\nstorage: {filesystem: {rootdirectory: /srv/blobs}}\n',
  ).config
  t.match(banner(config, ['http://127.0.0.1:5000']), 'Data: /srv/berth; blobs: /srv/blobs\n')
})
