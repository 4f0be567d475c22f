import t from 'tap'
import { formatAddress, parseAddress, parseTcpAddress } from '../../server/config/address.ts'

t.test('an address without a host means every interface', async t => {
  t.same(parseTcpAddress(':5000'), { port: 5000 })
})

t.test('hosts may be names, IPv4 or IPv6 in brackets', async t => {
  t.same(parseTcpAddress('localhost:5000'), { host: 'localhost', port: 5000 })
  t.same(parseTcpAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  t.same(parseTcpAddress('[::1]:443'), { host: '::1', port: 443 })
})

t.test('an address needs a port that exists', async t => {
  for (const text of ['', '5000', 'localhost', 'localhost:', 'localhost:http', ':65536', '::1:5000', 'http://a:5000']) {
    t.equal(parseTcpAddress(text), undefined, JSON.stringify(text))
  }
})

t.test('with a unix socket the address is a path', async t => {
  t.same(parseAddress('unix', '/run/berth.sock', '/srv'), { path: '/run/berth.sock' })
  t.same(parseAddress('unix', 'berth.sock', '/srv'), { path: '/srv/berth.sock' })
})

t.test('what is written is read back as the same', async t => {
  for (const text of [':5000', '127.0.0.1:5000', '[::1]:443']) {
    const address = parseTcpAddress(text)
    t.equal(address && formatAddress(address), text)
  }
  t.equal(formatAddress({ path: '/run/berth.sock' }), '/run/berth.sock')
})
