import t from 'tap'
import { startCephFor } from '../services/ceph.ts'
import { testSwiftFaults } from './swift-faults.ts'

t.setTimeout(300_000)

const ceph = await startCephFor(t)
if (ceph !== undefined) {
  const { username, password } = ceph.swift
  testSwiftFaults({
    endpoint: ceph.s3.endpoint,
    process: ceph.gateway,
    login: url => ({ auth: { url: `${url}/auth/v1`, username, password } }),
  })
}
