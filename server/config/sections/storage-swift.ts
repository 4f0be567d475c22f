import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import type { Fault } from '../check.ts'
import { entry, flag, oneOf, text } from '../fields.ts'
import { textAt, type Tree } from '../tree.ts'
import { bounded, gibibyte, given, mebibyte, parallel, serverWithScheme } from './storage-fields.ts'

/** `storage.swift`: the parameters of registry:2, and behind them those of Berth's own. */
export const swift = entry({
  authurl: serverWithScheme(),
  username: Type.Optional(text()),
  password: Type.Optional(text()),
  container: text(),
  tenant: Type.Optional(text()),
  tenantid: Type.Optional(text()),
  domain: Type.Optional(text()),
  domainid: Type.Optional(text()),
  tenantdomain: Type.Optional(text()),
  tenantdomainid: Type.Optional(text()),
  trustid: Type.Optional(text()),
  region: Type.Optional(text()),
  /** 0, as the key left out: what the URL and the other keys tell. */
  authversion: bounded({ least: 0, most: 3, standard: 0 }),
  endpointtype: oneOf(['public', 'internal', 'admin'], 'public'),
  insecureskipverify: flag(false),
  chunksize: bounded({ least: mebibyte, most: 5 * gibibyte, standard: 20 * mebibyte }),
  prefix: Type.Optional(text()),
  /** The name that the documents of registry:2 have for `prefix`. */
  rootdirectory: Type.Optional(text()),
  /** The key of temporary URLs. */
  secretkey: Type.Optional(text()),
  tempurlcontainerkey: flag(false),
  tempurlmethods: Type.Optional(Type.Array(text())),
  userid: Type.Optional(text()),
  applicationcredentialid: Type.Optional(text()),
  applicationcredentialname: Type.Optional(text()),
  applicationcredentialsecret: Type.Optional(text()),
  storageurl: Type.Optional(serverWithScheme()),
  cafile: Type.Optional(text()),
  parallel: parallel(),
  createcontainer: flag(true),
  /** Without effect here. */
  accesskey: Type.Optional(text()),
})

type SwiftSection = Type.StaticDecode<typeof swift>

export function* checkSwift(path: string, section: Tree): Iterable<Fault> {
  const prefix = textAt(section, 'prefix')
  const rootdirectory = textAt(section, 'rootdirectory')
  if (prefix !== undefined && rootdirectory !== undefined && prefix !== rootdirectory) {
    yield {
      path: `${path}.rootdirectory`,
      message: 'is another name for prefix, which says something else; remove one',
    }
  }
  const has = (key: string) => textAt(section, key) !== undefined
  const applicationCredential = ['id', 'name', 'secret'].some(part => has(`applicationcredential${part}`))
  if (applicationCredential) yield* checkApplicationCredential(path, section)
  else {
    if (!has('username') && !has('userid')) yield { path: `${path}.username`, message: 'is missing' }
    if (!has('password')) yield { path: `${path}.password`, message: 'is missing' }
  }
}

function* checkApplicationCredential(path: string, section: Tree): Iterable<Fault> {
  const has = (key: string) => textAt(section, key) !== undefined
  if (!has('applicationcredentialsecret')) yield { path: `${path}.applicationcredentialsecret`, message: 'is missing' }
  if (!has('applicationcredentialid') && !has('applicationcredentialname')) {
    yield {
      path: `${path}.applicationcredentialid`,
      message: 'is missing: it says whose applicationcredentialsecret it is',
    }
  }
  if (!has('applicationcredentialid') && has('applicationcredentialname') && !has('username') && !has('userid')) {
    yield {
      path: `${path}.username`,
      message: 'is missing: a credential is known by its name only together with its user; or give its id',
    }
  }
  if (section['authversion'] === 1 || section['authversion'] === 2) {
    yield { path: `${path}.authversion`, message: 'has to be 3, or left out: application credentials are of version 3' }
  }
}

export function settleSwift(section: SwiftSection, cwd: string) {
  const { accesskey: _accesskey, rootdirectory, prefix = rootdirectory, cafile, ...rest } = section
  return { ...rest, ...given({ prefix, cafile: cafile && resolve(cwd, cafile) }) }
}

type SettledSwift = ReturnType<typeof settleSwift>

export function swiftOptions(section: SettledSwift): OptionsOf<'swift'> {
  return {
    auth: authOf(section),
    endpointType: section.endpointtype,
    container: section.container,
    prefix: section.prefix ?? '',
    chunkSize: section.chunksize,
    parallel: section.parallel,
    tls: { skipVerify: section.insecureskipverify },
    tempUrl: {
      containerKey: section.tempurlcontainerkey,
      ...given({ key: section.secretkey, methods: section.tempurlmethods }),
    },
    createContainer: section.createcontainer,
    ...given({ region: section.region, storageUrl: section.storageurl }),
  }
}

function authOf(section: SettledSwift): OptionsOf<'swift'>['auth'] {
  return {
    url: section.authurl,
    ...given({
      version: ([1, 2, 3] as const).find(version => version === section.authversion),
      username: section.username,
      userId: section.userid,
      password: section.password,
      tenant: section.tenant,
      tenantId: section.tenantid,
      domain: section.domain,
      domainId: section.domainid,
      tenantDomain: section.tenantdomain,
      tenantDomainId: section.tenantdomainid,
      trustId: section.trustid,
      applicationCredential: applicationCredentialOf(section),
    }),
  }
}

function applicationCredentialOf(section: SettledSwift): OptionsOf<'swift'>['auth']['applicationCredential'] {
  const { applicationcredentialid: id, applicationcredentialname: name, applicationcredentialsecret: secret } = section
  return secret === undefined ? undefined : { secret, ...given({ id, name }) }
}
