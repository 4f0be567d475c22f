import { randomUUID } from 'node:crypto'
import type { StartedProcess } from '../../conformance/process.ts'
import { answersAt, crasherOf } from '../storage-drivers/faults/crash.ts'
import type { V1User } from '../storage-drivers/swift-servers.ts'
import { testServer } from './whole-server.ts'

/**
 * A whole Berth with the variables that a Docker Registry in Kubernetes was given, and no file.
 * @param options.process the server that listens at the URL of the login
 */
export function testSwiftServer(
  what: string,
  { authUrl, username, password }: V1User,
  { process, ...options }: { process: StartedProcess; brief?: boolean },
): void {
  const variables = { AUTHURL: authUrl, USERNAME: username, PASSWORD: password }
  testSwift(what, variables, { process, url: authUrl }, options)
}

/**
 * The same with other variables of the section.
 * @param variables what follows `REGISTRY_STORAGE_SWIFT_`
 * @param server the one that is ended as by a crash, and the URL at which it answers
 */
export function testSwift(
  what: string,
  variables: Readonly<Record<string, string>>,
  server: { process: StartedProcess; url: string },
  options: { brief?: boolean } = {},
): void {
  const crash = crasherOf(server.process, answersAt(server.url))
  const named = Object.entries(variables).map(([name, value]) => [`REGISTRY_STORAGE_SWIFT_${name}`, value])
  const setUp = async () => ({
    env: {
      REGISTRY_STORAGE: 'swift',
      ...Object.fromEntries(named),
      REGISTRY_STORAGE_SWIFT_CONTAINER: `berth-${randomUUID()}`,
    },
    crash,
  })
  testServer(`storage.swift on ${what}`, setUp, options)
}
