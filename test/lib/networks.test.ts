import t from 'tap'
import { createNetworks, isNetwork } from '../../server/lib/networks.ts'

t.test('an address is in a network whatever spelling the two have', async t => {
  const table: [network: string, inside: string[], outside: string[]][] = [
    [
      '10.0.0.0/8',
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3', '::ffff:a01:203', '10.1.2.3:80'],
      ['11.0.0.0', '::1'],
    ],
    ['10.1.2.3/8', ['10.200.0.1'], ['11.1.2.3']],
    ['192.0.2.7', ['192.0.2.7', '[::ffff:192.0.2.7]:443'], ['192.0.2.6', '192.0.2.8']],
    ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255', '::ffff:1.2.3.4'], ['::1', '2001:db8::1']],
    ['::/0', ['::1', '2001:db8::1', 'fe80::1%eth0'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['2001:db8::/33', ['2001:db8:7fff::', '2001:0DB8:0000::1', '[2001:db8::1]:443'], ['2001:db8:8000::']],
    ['fe80::/10', ['fe80::1%eth0', 'febf::'], ['fec0::']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.1']],
    ['2001:db8::1', ['2001:db8:0:0::1'], ['2001:db8::2']],
  ]
  for (const [network, inside, outside] of table) {
    const networks = createNetworks([network])
    for (const address of inside) t.ok(networks.has(address), `${address} is in ${network}`)
    for (const address of outside) t.notOk(networks.has(address), `${address} is not in ${network}`)
  }
})

t.test('what is no address is in no network, and in none is nobody', async t => {
  const networks = createNetworks(['0.0.0.0/0', '::/0'])
  for (const text of [undefined, '', 'unknown', '_hidden', '1.2.3', '1.2.3.4.5', '1.2.3.4:', '[1', ':::1'])
    t.notOk(networks.has(text), String(text))
  t.notOk(createNetworks([]).has('1.2.3.4'))
  t.ok(createNetworks(['10.0.0.0/8', '192.0.2.0/24']).has('192.0.2.1'))
})

t.test('networks are told from other texts', async t => {
  for (const text of ['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '::/0', '::1', '2001:db8::/128'])
    t.ok(isNetwork(text), text)
  for (const text of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'example.com',
  ])
    t.notOk(isNetwork(text), text)
  t.throws(() => createNetworks(['10.0.0.0/33']), /^10\.0\.0\.0\/33 is not a network$/)
})
