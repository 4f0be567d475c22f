import { Type } from 'typebox'
import { flag, partial, text, whole } from '../fields.ts'
import { storageMiddleware } from './storage-middleware.ts'

/*
 * Sections of registry:2 and 3 that Berth knows but does not act upon: `not-yet.ts` and `no-meaning.ts` say what
 * becomes of each. Their keys stand here so that a wrong one is found, and a variable finds the right one.
 */

const headers = Type.Record(Type.String(), Type.Array(text()))
const middlewares = Type.Array(
  partial({ name: text(), disabled: flag(), options: Type.Record(Type.String(), Type.Unknown()) }),
)

export const middleware = partial({ registry: middlewares, repository: middlewares, storage: storageMiddleware })

export const reporting = partial({
  bugsnag: partial({ apikey: text(), releasestage: text(), endpoint: text() }),
  newrelic: partial({ licensekey: text(), name: text(), verbose: flag() }),
})

const endpoint = partial({
  name: text(),
  disabled: flag(),
  url: text(),
  headers,
  timeout: text(),
  threshold: whole(),
  backoff: text(),
  ignoredmediatypes: Type.Array(text()),
  ignore: partial({ mediatypes: Type.Array(text()), actions: Type.Array(text()) }),
})

export const notifications = partial({
  events: partial({ includereferences: flag() }, { environment: 'EVENTCONFIG' }),
  endpoints: Type.Array(endpoint),
})

/** The keys of 2.x and of 3 together. */
export const redis = partial({
  addr: text(),
  pool: partial({ maxidle: whole(), maxactive: whole(), idletimeout: text() }),
  addrs: Type.Array(text()),
  clientname: text(),
  db: whole(),
  protocol: whole(),
  username: text(),
  password: text(),
  sentinelusername: text(),
  sentinelpassword: text(),
  maxretries: whole(),
  minretrybackoff: text(),
  maxretrybackoff: text(),
  dialtimeout: text(),
  readtimeout: text(),
  writetimeout: text(),
  contexttimeoutenabled: flag(),
  poolfifo: flag(),
  poolsize: whole(),
  pooltimeout: text(),
  minidleconns: whole(),
  maxidleconns: whole(),
  maxactiveconns: whole(),
  connmaxidletime: text(),
  connmaxlifetime: text(),
  maxredirects: whole(),
  readonly: flag(),
  routebylatency: flag(),
  routerandomly: flag(),
  mastername: text(),
  disableidentity: flag(),
  identitysuffix: text(),
  unstableresp3: flag(),
  tls: partial({ certificate: text(), key: text(), rootcas: Type.Array(text()) }),
})

export const proxy = partial({
  remoteurl: text(),
  username: text(),
  password: text(),
  ttl: text(),
  exec: partial({ command: text(), lifetime: text() }),
  cachewritetimeout: text(),
})

export const policy = partial({ repository: partial({ classes: Type.Array(text()) }) })

export const compatibility = partial({ schema1: partial({ signingkeyfile: text(), enabled: flag() }) })
