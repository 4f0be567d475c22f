import { randomUUID } from 'node:crypto'
import type { StartedProcess } from '../../conformance/process.ts'
import { answersAt, crasherOf } from '../storage-drivers/faults/crash.ts'
import type { V1User } from '../storage-drivers/swift-servers.ts'
import { testServer } from './whole-server.ts'

/**
 * A whole Berth with the variables that a Docker Registry in Kubernetes was given, and no file.
 * @param process the server that listens at the URL of the login
 */
export function testSwiftServer(what: string, { authUrl, username, password }: V1User, process: StartedProcess): void {
  const crash = crasherOf(process, answersAt(authUrl))
  testServer(`storage.swift on ${what}`, async () => ({
    env: {
      REGISTRY_STORAGE: 'swift',
      REGISTRY_STORAGE_SWIFT_AUTHURL: authUrl,
      REGISTRY_STORAGE_SWIFT_USERNAME: username,
      REGISTRY_STORAGE_SWIFT_PASSWORD: password,
      REGISTRY_STORAGE_SWIFT_CONTAINER: `berth-${randomUUID()}`,
    },
    crash,
  }))
}
