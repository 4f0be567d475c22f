import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parseBundle, verifyChain } from '../../server/access/external-certificates.ts'
import { createSigner } from './token-service.ts'

const folder = t.testdir()
const root = await createSigner(folder, 'root', { authority: true })
const between = await createSigner(folder, 'between', { authority: true, by: root })
const leaf = await createSigner(folder, 'leaf', { by: between })
const direct = await createSigner(folder, 'direct', { by: root })
const trusted = [root.certificate]
const found = (chain: string[], roots = trusted) => verifyChain(chain, roots)?.subject

t.test('a bundle is all certificates of a file, whatever stands between', async t => {
  const pem = (await Promise.all([root, leaf].map(({ file }) => readFile(file, 'utf8')))).join('some words\n')
  t.same(
    parseBundle(`first\n${pem}`).map(({ raw }) => raw.toString('base64')),
    [root.der, leaf.der],
  )
  t.throws(() => parseBundle(''), { message: /^there is no certificate in it; it takes/ })
  t.throws(() => parseBundle('-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----'), { message: /no certificate/ })
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
  t.throws(() => parseBundle(`${pem}\n${broken}`), { message: 'certificate 3 of 3 in it is broken' })
})

t.test('a chain of authorities leads to a root, in whatever order those between stand', async t => {
  t.equal(found([direct.der]), 'CN=direct')
  t.equal(found([leaf.der, between.der]), 'CN=leaf')
  t.equal(found([leaf.der, between.der, root.der]), 'CN=leaf', 'the root may be there too')
  t.equal(found([leaf.der, direct.der, root.der, between.der]), 'CN=leaf')
  t.equal(found([leaf.der], [between.certificate]), 'CN=leaf', 'an authority in between may be the root')
  t.equal(found([leaf.der], [leaf.certificate]), 'CN=leaf', 'and the certificate itself')
})

t.test('a chain that leads nowhere is not trusted', async t => {
  const foreign = await createSigner(folder, 'foreign', { authority: true })
  // Of the same name as the one that is trusted, and signed by another.
  const other = t.testdir()
  const double = await createSigner(other, 'root', { authority: true })
  const byDouble = await createSigner(other, 'x', { by: double })
  const own = await createSigner(folder, 'own')
  for (const [chain, why] of [
    [[], 'no chain'],
    [[leaf.der], 'a link is missing'],
    [[between.der.slice(0, 400), leaf.der], 'a broken one'],
    [[leaf.der, between.der, 'AAAA'], 'a broken one at the end'],
    [[''], 'nothing'],
    [[own.der], 'it has signed itself'],
    [[foreign.der], 'a foreign authority'],
    [[byDouble.der], 'the name of the root, another key'],
    [[byDouble.der, double.der], 'the name of the root, another key, given along'],
    [[byDouble.der, root.der], 'the root, which has not signed it'],
    [Array(11).fill(direct.der), 'too long'],
  ] as const)
    t.equal(verifyChain([...chain], trusted), undefined, why)
  t.equal(verifyChain([direct.der], []), undefined, 'no roots')
})

t.test('who is no authority signs nothing, not even as a root', async t => {
  const below = await createSigner(folder, 'below', { by: direct })
  t.equal(verifyChain([below.der, direct.der], trusted), undefined)
  t.equal(verifyChain([below.der], [direct.certificate]), undefined)
})

t.test('each certificate of a chain has to be in force', async t => {
  const oldRoot = await createSigner(folder, 'old-root', { authority: true, days: -1 })
  const oldBetween = await createSigner(folder, 'old-between', { authority: true, by: root, days: -1 })
  const oldLeaf = await createSigner(folder, 'old-leaf', { by: root, days: -1 })
  const ofOldRoot = await createSigner(folder, 'of-old-root', { by: oldRoot })
  const ofOldBetween = await createSigner(folder, 'of-old-between', { by: oldBetween })
  t.equal(verifyChain([oldLeaf.der], trusted), undefined)
  t.equal(verifyChain([oldLeaf.der], [oldLeaf.certificate]), undefined)
  t.equal(verifyChain([ofOldBetween.der, oldBetween.der], trusted), undefined)
  t.equal(verifyChain([ofOldRoot.der], [oldRoot.certificate]), undefined)
  t.equal(
    verifyChain([leaf.der, between.der], trusted, new Date(Date.now() - 10 * 24 * 3600_000)),
    undefined,
    'not yet',
  )
})
