import t from 'tap'
import { startCephFor } from '../services/ceph.ts'
import { testSwiftServer } from './swift-server.ts'

const ceph = await startCephFor(t)
if (ceph !== undefined) testSwiftServer('a RADOS Gateway', ceph.swift, { process: ceph.gateway })
