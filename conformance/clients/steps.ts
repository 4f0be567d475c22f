/** What a client is asked to do, step by step, against one registry. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Answer, ask } from '../http.ts'
import { run, type RunOptions, type RunResult, start, type StartedProcess } from '../process.ts'
import type { Content } from './content.ts'

/** A sentence, and what makes it true. A string that comes of it is worth a word in the table of results. */
export type Step = readonly [title: string, act: () => Promise<unknown>]

export interface Client {
  name: string
  /** Programs that have to be installed. */
  programs: readonly string[]
  /** Whether it works as root only. */
  root: boolean
  version: () => Promise<string>
  /** The steps in order. */
  steps: (stage: Stage) => Step[] | Promise<Step[]>
}

/** One client's world against one registry. */
export interface Stage {
  /** `host:port` of the registry. */
  readonly host: string
  /** The file of the authority to trust, or undefined where the registry speaks plain http. */
  readonly ca: string | undefined
  /** A folder of the client's own, empty. */
  readonly folder: string
  readonly content: Content
  /** Whether Debian and the layer of 1 GiB are for this stage too; they take most of the time. */
  readonly large: boolean
  /** A repository of the client's own, without the host. */
  readonly repository: (name?: string) => string
  /** The same as images are called: with the host. */
  readonly image: (name?: string) => string
  /** Runs a program in the client's folder with nothing of the user's own settings. @throws CommandError */
  readonly run: (command: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>
  /** Starts a daemon likewise; it is stopped after the last step, whatever came of them. */
  readonly start: (command: string, args: readonly string[], options?: RunOptions) => Promise<StartedProcess>
  /** One request of our own, to look from another side at what the client did. It takes every kind of manifest. */
  readonly ask: (method: string, path: string) => Promise<Answer>
}

export interface Outcome {
  client: string
  passed: number
  failed: number
  milliseconds: number
  /** What steps returned. */
  seen: string[]
}

export interface Face {
  /** `http` or `TLS`. */
  name: string
  host: string
  ca: string | undefined
  folder: string
  content: Content
  large: boolean
  /** Begins every repository's name. */
  prefix: string
}

/** Runs all steps of a client, prints a line for each, and counts. A step that fails does not stop the next. */
export async function play(client: Client, face: Face): Promise<Outcome> {
  const outcome: Outcome = { client: client.name, passed: 0, failed: 0, milliseconds: 0, seen: [] }
  const ends: (() => Promise<unknown>)[] = []
  const attempt = async ([title, act]: Step) => {
    const started = performance.now()
    const fault = await act().then(
      seen => {
        if (typeof seen === 'string' && !outcome.seen.includes(seen)) outcome.seen.push(seen)
        return undefined
      },
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    const milliseconds = performance.now() - started
    outcome.milliseconds += milliseconds
    outcome[fault === undefined ? 'passed' : 'failed']++
    console.log(
      `${fault === undefined ? 'ok    ' : 'not ok'} ${client.name}, ${face.name}: ${title} (${Math.round(milliseconds)} ms)`,
    )
    if (fault !== undefined) console.log(indent(fault))
  }
  try {
    const stage = await createStage(client, face, ends)
    for (const step of await client.steps(stage)) await attempt(step)
  } catch (error) {
    await attempt(['begins', () => Promise.reject(error)])
  } finally {
    for (const end of ends.toReversed()) await end()
    // Each client leaves gigabytes; together they would be many.
    await rm(join(face.folder, client.name), { recursive: true, force: true })
  }
  return outcome
}

async function createStage(client: Client, face: Face, ends: (() => Promise<unknown>)[]): Promise<Stage> {
  const { host, ca, content, large } = face
  const folder = join(face.folder, client.name)
  const home = join(folder, 'home')
  const temporary = join(folder, 'tmp')
  await mkdir(home, { recursive: true })
  await mkdir(temporary, { recursive: true, mode: 0o700 })
  const environment = {
    HOME: home,
    XDG_RUNTIME_DIR: temporary,
    XDG_CONFIG_HOME: undefined,
    XDG_DATA_HOME: undefined,
    XDG_CACHE_HOME: undefined,
    TMPDIR: temporary,
    DOCKER_CONFIG: join(home, '.docker'),
    DOCKER_HOST: undefined,
    REGISTRY_AUTH_FILE: undefined,
    // The registry is on this machine: no proxy knows it.
    ...Object.fromEntries(proxies.flatMap(name => [name, name.toUpperCase()]).map(name => [name, undefined])),
  }
  const repository = (name = '') => `${face.prefix}/${client.name}${name === '' ? '' : `-${name}`}`
  const withFolder = (options?: RunOptions) => ({ cwd: folder, ...options, env: { ...environment, ...options?.env } })
  return {
    host,
    ca,
    folder,
    content,
    large,
    repository,
    image: name => `${host}/${repository(name)}`,
    run: (command, args, options) => run(command, args, withFolder(options)),
    async start(command, args, options) {
      const started = await start(command, args, withFolder(options))
      ends.push(() => started.stop())
      return started
    },
    ask: (method, path) => {
      const url = `${ca === undefined ? 'http' : 'https'}://${host}${path}`
      return ask(url, { method, headers: { accept: manifestTypes }, ...(ca === undefined ? {} : { ca }) })
    },
  }
}

const proxies = ['http_proxy', 'https_proxy', 'all_proxy']

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** For a step that has to fail: succeeds when it does, with these words. */
export async function isRefused(act: Promise<RunResult>, words: RegExp): Promise<void> {
  const said = await act.then(
    () => undefined,
    (error: unknown) => String(error),
  )
  if (said === undefined) throw new Error('it succeeded, and should have been refused')
  if (!words.test(said)) throw new Error(`refused, but not with ${words}: ${said}`)
}

export function expectMatch(text: string, pattern: RegExp, what: string): void {
  if (!pattern.test(text))
    throw new Error(`${what} does not say ${pattern}:\n${text.trim().split('\n').slice(-6).join('\n')}`)
}

export function expectEqual(found: unknown, wanted: unknown, what: string): void {
  const [a, b] = [found, wanted].map(value => JSON.stringify(value))
  if (a !== b) throw new Error(`${what}: ${a} where ${b} was expected`)
}

/** The digest that a tag or digest has in the registry, or undefined for 404. */
export async function digestInRegistry(
  stage: Stage,
  repository: string,
  reference: string,
): Promise<string | undefined> {
  const { status, headers } = await stage.ask('HEAD', `/v2/${repository}/manifests/${reference}`)
  if (status === 404) return undefined
  const digest = headers['docker-content-digest']
  if (status !== 200 || typeof digest !== 'string')
    throw new Error(`HEAD of ${repository}:${reference}: ${status}, ${String(digest)}`)
  return digest
}

/** An x509 complaint, as each client words it. */
export const untrusted = /x509: |certificate signed by unknown authority|certificate verify failed|not trusted/

function indent(text: string): string {
  const short = text.length > 1500 ? `${text.slice(0, 300)}\n...\n${text.slice(-1200)}` : text
  return short.replaceAll(/^/gm, '         ')
}
