import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { run } from '../../conformance/process.ts'
import { OutOfSpace } from '../../storage-drivers/driver.ts'
import { createSwiftDriver } from '../../storage-drivers/swift/swift.ts'
import { put, testDriver } from './contract.ts'
import { rawSwift, serveCeph, v1Options } from './swift-servers.ts'
import { testSwift } from './swift-suite.ts'

const ceph = await serveCeph()
if (ceph !== undefined) {
  const user = ceph.swift
  testDriver('swift', async () => {
    const container = `test-${randomUUID()}`
    return () => createSwiftDriver(v1Options(user, { container }))
  })

  const admin = (...args: string[]) => run('radosgw-admin', ['-c', ceph.config, '-n', 'client.rgw', ...args])

  testSwift('radosgw', user)

  t.test('radosgw: a container that belongs to someone else is refused by a sentence', async t => {
    const container = `other-${randomUUID()}`
    // One name for all users, those of its S3 API too.
    const swift = ['--subuser', 'other:swift', '--access=full', '--secret', 'othersecret', '--key-type=swift']
    await admin('user', 'create', '--uid', 'other', '--display-name', 'another user')
    await admin('subuser', 'create', '--uid', 'other', ...swift)
    const raw = await rawSwift({ ...user, username: 'other:swift', password: 'othersecret' })
    t.equal((await raw.ask('PUT', `/${container}`)).status, 201)
    await t.rejects(createSwiftDriver(v1Options(user, { container })), {
      message: /may not use the container other-.*storage\.swift\.container/,
    })
  })

  t.test('radosgw: a quota is no room', async t => {
    const container = `full-${randomUUID()}`
    await using driver = await createSwiftDriver(v1Options(user, { container, chunkSize: 1024 * 1024 }))
    const raw = await rawSwift(user)
    await raw.ask('POST', `/${container}`, { headers: { 'x-container-meta-quota-bytes': '1000000' } })
    await t.rejects(put(driver, 'blobs/a', randomBytes(3_000_000)), OutOfSpace)
  })
}
