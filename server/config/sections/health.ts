import { Type } from 'typebox'
import { checked, duration, entry, flag, interval, section, tcpAddress, text, whole } from '../fields.ts'

/** How many times in a row a check fails before the registry calls itself unhealthy. */
function threshold(standard: number) {
  return whole({ minimum: 0, default: standard })
}

const uri = checked(
  text => /^https?:\/\//i.test(text) && URL.canParse(text),
  text => `${JSON.stringify(text)} is not a URL like http://server.example.com/healthy`,
)

export const health = section({
  storagedriver: section({ enabled: flag(false), interval: interval('10s'), threshold: threshold(3) }),
  /** Unhealthy while a file exists. */
  file: Type.Array(entry({ file: text(), interval: interval('10s'), threshold: threshold(1) }), {
    default: [],
    environment: 'FILECHECKERS',
  }),
  /** Unhealthy unless a HEAD of the URI is answered with the status. */
  http: Type.Array(
    entry({
      uri,
      headers: Type.Record(Type.String(), Type.Array(text()), { default: {} }),
      statuscode: whole({ minimum: 100, default: 200 }),
      timeout: duration('5s'),
      interval: interval('10s'),
      threshold: threshold(1),
    }),
    { default: [], environment: 'HTTPCHECKERS' },
  ),
  /** Unhealthy unless a connection can be made. */
  tcp: Type.Array(
    entry({ addr: tcpAddress(), timeout: duration('5s'), interval: interval('10s'), threshold: threshold(1) }),
    { default: [], environment: 'TCPCHECKERS' },
  ),
})
