import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Value } from 'typebox/value'
import { check, type Fault } from './check.ts'
import { ConfigError, ConfigSchema, type Config } from './config.ts'
import { checkDependencies } from './dependencies.ts'
import { overlayEnvironment } from './environment.ts'
import { finish } from './finish.ts'
import { notesOn, refuseForGood } from './no-meaning.ts'
import { refuseNotYet } from './not-yet.ts'
import { shape } from './shape.ts'
import { at, isTree, type Tree } from './tree.ts'
import { readYaml } from './yaml.ts'

/** Where the images of registry:3 and registry:2 have their file, in the order in which they are looked at. */
export const defaultPlaces: readonly string[] = ['/etc/distribution/config.yml', '/etc/docker/registry/config.yml']

/** What is in force when there is no file. */
const builtIn: Tree = { version: '0.1', storage: { filesystem: {} } }

export interface LoadOptions {
  /** The path of a file as given on the command line. Wins over the variable, which wins over the default places. */
  argument?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  /** What relative paths count from; the process's folder when left out. */
  cwd?: string
  /** Where a file is looked for when nobody names one; `defaultPlaces` when left out. */
  places?: readonly string[]
}

export interface LoadedConfig {
  config: Config
  /** The file that was read; undefined when there was none and the built-in configuration was taken. */
  source: string | undefined
  /** What the operator should look at: variables that look like settings and are none. */
  warnings: string[]
  /** What was accepted and has no effect. */
  notes: string[]
}

/**
 * Finds the configuration file, lays the environment over it, and checks the whole.
 * @throws ConfigError with everything that is wrong with it
 */
export function loadConfig({ argument, env, cwd = process.cwd(), places = defaultPlaces }: LoadOptions): LoadedConfig {
  const { path, text } = findFile({ named: argument || env['REGISTRY_CONFIGURATION_PATH'], cwd, places })
  const where = path ?? 'the built-in configuration with the environment'
  const given = text === undefined ? builtIn : readFile(where, text)
  const overlay = overlayEnvironment(ConfigSchema, given, env)

  const faults = [
    ...overlay.faults,
    ...check(ConfigSchema, overlay.tree),
    ...checkDependencies(overlay.tree),
    ...refuseNotYet(overlay.tree),
    ...refuseForGood(overlay.tree),
  ]
  if (faults.length > 0) {
    throw new ConfigError(
      where,
      faults.map(fault => describeFault(fault, given, overlay.origins)),
    )
  }
  const notes = notesOn(overlay.tree)
  const { config, notes: moreNotes } = finish(Value.Decode(ConfigSchema, heedAliases(overlay.tree)), cwd)
  return { config, source: path, warnings: overlay.warnings, notes: [...notes, ...moreNotes] }
}

function findFile({ named, cwd, places }: { named: string | undefined; cwd: string; places: readonly string[] }): {
  path?: string
  text?: string
} {
  for (const path of named ? [resolve(cwd, named)] : places) {
    try {
      return { path, text: readFileSync(path, 'utf8') }
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR'].includes(String(error.code))
      if (missing && !named) continue
      const reason = error instanceof Error ? error.message : String(error)
      throw new ConfigError(path, [missing ? 'there is no such file' : `can't be read: ${reason}`])
    }
  }
  return {}
}

/** The shaped tree of a file's text. @throws ConfigError when it is not YAML, or no map */
function readFile(path: string, text: string): unknown {
  const { value, faults } = readYaml(text)
  if (faults.length > 0) throw new ConfigError(path, faults)
  const tree = shape(ConfigSchema, value)
  if (!isTree(tree)) throw new ConfigError(path, ['the file has to be a map of keys, beginning with version: 0.1'])
  return tree
}

function describeFault({ path, message }: Fault, given: unknown, origins: ReadonlyMap<string, string>): string {
  const variable = originOf(path, origins) ?? (at(given, path) === undefined ? originBelow(path, origins) : undefined)
  return variable === undefined ? `${path}: ${message}` : `${path}: ${message} (set by ${variable})`
}

/** The variable which set the key at a path, or the section that it stands in. */
function originOf(path: string, origins: ReadonlyMap<string, string>): string | undefined {
  const [, setting] =
    [...origins]
      .filter(([at]) => path === at || path.startsWith(`${at}.`) || path.startsWith(`${at}[`))
      .toSorted(([a], [b]) => b.length - a.length)[0] ?? []
  return setting
}

/** The first variable which set something in a section that the file does not have. */
function originBelow(path: string, origins: ReadonlyMap<string, string>): string | undefined {
  return [...origins].find(([at]) => at.startsWith(`${path}.`))?.[1]
}

/** `loglevel` stands for `log.level` where that is not given. */
function heedAliases(tree: unknown): unknown {
  const level = at(tree, 'loglevel')
  if (level === undefined || at(tree, 'log.level') !== undefined || !isTree(tree)) return tree
  return { ...tree, log: { ...(isTree(tree['log']) ? tree['log'] : {}), level } }
}
