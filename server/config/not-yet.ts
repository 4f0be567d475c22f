import type { Fault } from './check.ts'
import { at, isEmpty, isTree } from './tree.ts'

/** A key that registry:2 or 3 acts upon and Berth does not yet. */
interface NotYet {
  key: string
  /** Whether a value asks for anything. */
  asks: (value: unknown) => boolean
  /** What Berth can't do, and what to do instead. */
  sentence: string
}

/**
 * What Berth will do one day. To start without it would be to ignore a wish in silence, so it is refused. Whoever
 * builds one of these deletes its row, and adds its section to `Config`.
 */
const notYet: readonly NotYet[] = [
  {
    key: 'storage.oss',
    asks: value => value !== undefined,
    sentence: 'Berth has no storage in Aliyun OSS yet. Use another store, or keep registry:2 for this one.',
  },
  {
    key: 'redis',
    asks: saysSomething,
    sentence: 'Berth does not use Redis yet. Remove the section: what registry:2 cached there is in Postgres.',
  },
  {
    key: 'proxy',
    asks: saysSomething,
    sentence:
      "Berth can't be a pull-through cache of another registry yet. Remove the section, or keep registry:2 for it.",
  },
  {
    key: 'notifications.endpoints',
    asks: hasOneInUse,
    sentence: 'Berth does not send notifications yet. Remove the endpoints, or set disabled: true in each.',
  },
  ...['registry', 'repository'].map(kind => ({
    key: `middleware.${kind}`,
    asks: hasOneInUse,
    sentence: 'Berth has no middleware of this kind yet. Remove it, or set disabled: true in each entry.',
  })),
  {
    key: 'policy.repository.classes',
    asks: saysSomething,
    sentence: 'Berth does not tell classes of repositories apart yet. Remove the section.',
  },
  {
    key: 'log.hooks',
    asks: hasOneInUse,
    sentence: 'Berth does not send mail about log lines yet. Remove the hooks, or set disabled: true in each.',
  },
  {
    key: 'http.tls.letsencrypt',
    asks: saysSomething,
    sentence: "Berth can't get certificates from Let's Encrypt yet. Set http.tls.certificate and http.tls.key instead.",
  },
  {
    key: 'http.debug',
    asks: saysSomething,
    sentence: 'Berth has no debug listener and no Prometheus metrics yet. Remove the section.',
  },
  {
    key: 'http.h2c.enabled',
    asks: saysSomething,
    sentence: 'Berth does not speak HTTP/2 without TLS yet. Remove the key, or set it to false.',
  },
]

function saysSomething(value: unknown): boolean {
  return !isEmpty(value)
}

/** For lists whose elements can be switched off. */
function hasOneInUse(value: unknown): boolean {
  return Array.isArray(value) && value.some(element => !(isTree(element) && element['disabled'] === true))
}

/** A fault for each thing that a shaped tree asks for and Berth can't do yet. */
export function refuseNotYet(tree: unknown): Fault[] {
  return notYet
    .filter(({ key, asks }) => asks(at(tree, key)))
    .map(({ key, sentence }) => ({ path: key, message: sentence }))
}
