import { Type } from 'typebox'
import {
  checked,
  countOrAuto,
  duration,
  entry,
  flag,
  network,
  oneOf,
  partial,
  section,
  tcpAddress,
  text,
} from '../fields.ts'
import { cipherSuites, defaultCipherSuites } from '../ciphers.ts'

/** What `http.tls.minimumtls` calls a protocol version, and what `node:tls` does. */
const tlsVersions = {
  'tls1.0': 'TLSv1',
  'tls1.1': 'TLSv1.1',
  'tls1.2': 'TLSv1.2',
  'tls1.3': 'TLSv1.3',
} as const

type TlsVersion = keyof typeof tlsVersions

function isTlsVersion(text: string): text is TlsVersion {
  return Object.hasOwn(tlsVersions, text)
}

const minimumTls = Type.Codec(
  checked(isTlsVersion, text => `${JSON.stringify(text)} is none of ${Object.keys(tlsVersions).join(', ')}`, 'tls1.2'),
)
  .Decode(text => tlsVersions[isTlsVersion(text) ? text : 'tls1.2'])
  .Encode(version => Object.keys(tlsVersions).find(name => isTlsVersion(name) && tlsVersions[name] === version) ?? '')

const tls = entry({
  certificate: Type.Optional(text()),
  key: Type.Optional(text()),
  /** Files of certificate authorities; when there are any, clients are asked for certificates. */
  clientcas: Type.Array(text(), { default: [] }),
  clientauth: oneOf(
    ['request-client-cert', 'require-any-client-cert', 'verify-client-cert-if-given', 'require-and-verify-client-cert'],
    'require-and-verify-client-cert',
  ),
  minimumtls: minimumTls,
  ciphersuites: Type.Array(oneOf(cipherSuites), { default: [...defaultCipherSuites] }),
  letsencrypt: Type.Optional(
    partial({ cachefile: text(), email: text(), hosts: Type.Array(text()), directoryurl: text() }),
  ),
})

const accelRedirect = Type.Codec(
  checked(
    text => /^(\/[\w.~-]+)+\/?$/.test(text),
    text => `${JSON.stringify(text)} is not the path of a location; write it like /berth-files`,
  ),
)
  .Decode(text => text.replace(/\/$/, ''))
  .Encode(path => path)

export const http = section({
  /** `HOST:PORT`, or the path of a socket when `net` is unix. */
  addr: text('127.0.0.1:5000'),
  net: oneOf(['tcp', 'unix'], 'tcp'),
  /** The path below which the API stands; begins and ends with a slash. */
  prefix: Type.Codec(
    checked(
      text => text.startsWith('/'),
      text => `${JSON.stringify(text)} does not begin with a slash; write it like /my/registry/`,
      '/',
    ),
  )
    .Decode(text => (text.endsWith('/') ? text : `${text}/`))
    .Encode(prefix => prefix),
  /** The URL under which clients know the registry. */
  host: Type.Optional(
    checked(
      text => /^https?:\/\//i.test(text) && URL.canParse(text),
      text => `${JSON.stringify(text)} is not a whole URL like https://registry.example.com:5000`,
    ),
  ),
  secret: Type.Optional(text()),
  relativeurls: flag(false),
  draintimeout: duration('0s'),
  /** Large bodies are read past Node's HTTP parser, where it can be done. */
  directreads: flag(true),
  /** Processes that serve the address together; `auto`: as many as there are cores. */
  workers: countOrAuto(1, 256),
  /** The URI of an internal location of nginx that stands for the folder of the blobs; nginx then sends them itself. */
  accelredirect: Type.Optional(accelRedirect),
  /** Networks of proxies whose `X-Forwarded-For` is believed; `unix`: of those that come over the socket. */
  trustedproxies: Type.Array(network(['unix']), { default: [] }),
  tls: Type.Optional(tls),
  headers: Type.Record(Type.String(), Type.Array(text()), { default: {} }),
  debug: Type.Optional(
    entry({
      addr: Type.Optional(tcpAddress()),
      prometheus: section({ enabled: flag(false), path: text('/metrics') }),
    }),
  ),
  http2: section({ disabled: flag(false) }),
  h2c: Type.Optional(entry({ enabled: flag(false) })),
})
