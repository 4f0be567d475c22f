import type { Certificates } from '../../conformance/certificates.ts'
import type { Target } from '../generator/connection.ts'

export interface StartOptions {
  /** An empty folder of the server's own. */
  folder: string
  port: number
  /** Files in PEM, for https. */
  tls?: Certificates
  /** Settings beside the built-in ones. */
  env?: Record<string, string>
}

export interface RunningServer {
  /** The process whose tree is measured. */
  readonly pid: number
  /** Takes its processes down; the folder stays. */
  stop: () => Promise<void>
  /** The end of what it wrote: of its log, when something went wrong. */
  lastWords: () => string
  /** Puts so many tags into the repository `bench/list`, or so many repositories `bench/list-…`, past the API. */
  fill: (kind: 'tags' | 'repositories', count: number) => Promise<void>
}

/** A program that is measured. */
export interface Server {
  name: ServerName
  /** With its version, for people. */
  title: string
  start: (options: StartOptions, target: Target) => Promise<RunningServer>
}

export const serverNames = ['berth', 'distribution', 'zot', 'docker-registry'] as const
export type ServerName = (typeof serverNames)[number]

/** The names that `fill` gives: they sort as they are numbered. */
export function entryName(at: number): string {
  return `e${String(at).padStart(6, '0')}`
}
