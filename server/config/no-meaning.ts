import type { Fault } from './check.ts'
import { notesOnQuayStorage } from './quay-storage.ts'
import { asksForMore } from './sections/redirect.ts'
import { hasBaseUrl } from './sections/storage-middleware.ts'
import { notesOnDrivers } from './sections/storage-notes.ts'
import { at, isEmpty } from './tree.ts'

/*
 * Keys of registry:2 and 3 that are of no use in Berth and will not be. The ones that change nothing by being left
 * out are accepted with a note; the ones that ask for something which clients would miss are refused.
 */

const notes: Readonly<Record<string, string>> = {
  'http.secret': 'has no effect: the state of uploads is in Postgres, so replicas share no secret',
  loglevel: 'is the old name of log.level, which wins when both are given',
  'log.reportcaller': 'has no effect: the stack of an error is in its line, and other lines have words of their own',
  'storage.cache': 'has no effect: what registry:2 caches is in Postgres',
  'storage.redirect': 'has no effect: files are never served by redirects',
  'storage.tag': 'has no effect: tags are in Postgres',
  'validation.enabled': 'is the old opposite of validation.disabled; manifests are validated without it too',
  'notifications.events': 'has no effect without endpoints',
  reporting: 'has no effect: Berth reports to nobody',
  compatibility: 'has no effect: Berth takes no manifests of schema 1',
}

/** Notes that are not of every configuration with their key. */
const onlyWhere: Readonly<Record<string, (tree: unknown) => boolean>> = {
  'storage.redirect': tree => asksForMore(tree) && at(tree, 'storage.filesystem') !== undefined && !hasBaseUrl(tree),
}

/** A driver, or a way to check users, is asked for by its name alone. */
const inMemory = 'storage.inmemory'
const bare = new Set([inMemory, 'auth.silly'])

const refusals: Readonly<Record<string, string>> = {
  [inMemory]:
    'Berth has no storage in memory: what Postgres knows would outlive it. Use storage.filesystem with its rootdirectory, and BERTH_DATA, on a tmpfs.',
  'auth.silly': 'Berth has no scheme "silly", which lets in whoever sends anything at all. Use htpasswd or accounts.',
  'reporting.bugsnag': 'Berth does not report to Bugsnag. Remove the section; faults are in the log.',
  'reporting.newrelic': 'Berth does not report to New Relic. Remove the section; faults are in the log.',
  'compatibility.schema1.enabled':
    'Berth takes no manifests of schema 1, which clients gave up in 2017. Remove the key, or set it to false.',
}

/** One sentence for each key of a shaped tree that is accepted and does nothing. */
export function notesOn(tree: unknown): string[] {
  return Object.entries(notes)
    .filter(([key]) => at(tree, key) !== undefined && (onlyWhere[key]?.(tree) ?? true))
    .map(([key, note]) => `${key} ${note}`)
    .concat(notesOnDrivers(tree), notesOnQuayStorage(tree))
}

/** A fault for each thing that a shaped tree asks for and Berth will never do. */
export function refuseForGood(tree: unknown): Fault[] {
  return Object.entries(refusals)
    .filter(([key]) => !isEmpty(at(tree, key)) || (bare.has(key) && at(tree, key) !== undefined))
    .map(([path, message]) => ({ path, message }))
}
