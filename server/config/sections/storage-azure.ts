import { resolve } from 'node:path'
import { Type } from 'typebox'
import type { OptionsOf } from '../../../storage-drivers/index.ts'
import type { Fault } from '../check.ts'
import { entry, flag, oneOf, text, whole } from '../fields.ts'
import { at, textAt, type Tree } from '../tree.ts'
import { bounded, given, mebibyte, parallel, serverWithScheme } from './storage-fields.ts'

const kinds = ['shared_key', 'client_secret', 'default_credentials', 'sas_token'] as const
type Kind = (typeof kinds)[number]

/** `storage.azure`: the parameters of registry:2 and 3, and behind them those of Berth's own. */
export const azure = entry({
  accountname: text(),
  accountkey: Type.Optional(text()),
  container: text(),
  credentials: Type.Optional(
    entry({
      type: Type.Optional(oneOf(kinds)),
      clientid: Type.Optional(text()),
      tenantid: Type.Optional(text()),
      secret: Type.Optional(text()),
    }),
  ),
  rootdirectory: Type.Optional(text()),
  realm: text('core.windows.net'),
  serviceurl: Type.Optional(serverWithScheme()),
  skipverify: flag(false),
  sastoken: Type.Optional(text()),
  cafile: Type.Optional(text()),
  chunksize: bounded({ least: mebibyte, most: 4000 * mebibyte, standard: 10 * mebibyte }),
  parallel: parallel(),
  createcontainer: flag(true),
  /** Without effect here. */
  max_retries: Type.Optional(whole()),
  retry_delay: Type.Optional(text()),
  connectionstring: Type.Optional(text()),
  copy_status_poll_max_retry: Type.Optional(whole()),
  copy_status_poll_delay: Type.Optional(text()),
})

type AzureSection = Type.StaticDecode<typeof azure>

export function* checkAzure(path: string, section: Tree): Iterable<Fault> {
  const type = textAt(section, 'credentials.type')?.toLowerCase()
  if (type === 'shared_key' && textAt(section, 'accountkey') === undefined) {
    yield { path: `${path}.accountkey`, message: 'is missing: credentials.type shared_key asks for it' }
  }
  if (type === 'sas_token' && textAt(section, 'sastoken') === undefined) {
    yield { path: `${path}.sastoken`, message: 'is missing: credentials.type sas_token asks for it' }
  }
  const missing = ['clientid', 'tenantid', 'secret'].filter(key => textAt(section, `credentials.${key}`) === undefined)
  if (type === 'client_secret') {
    for (const key of missing) {
      yield { path: `${path}.credentials.${key}`, message: 'is missing: credentials.type client_secret asks for it' }
    }
  }
  if (type === undefined && at(section, 'credentials') !== undefined && missing.length < 3) {
    yield { path: `${path}.credentials.type`, message: `is missing: it is one of ${kinds.join(', ')}` }
  }
}

export function settleAzure(section: AzureSection, cwd: string) {
  const {
    max_retries: _maxRetries,
    retry_delay: _retryDelay,
    connectionstring: _connectionstring,
    copy_status_poll_max_retry: _copyStatusPollMaxRetry,
    copy_status_poll_delay: _copyStatusPollDelay,
    credentials = {},
    accountkey,
    sastoken,
    serviceurl,
    cafile,
    ...rest
  } = section
  const type = credentials.type ?? kindOf({ accountkey, sastoken })
  return {
    ...rest,
    // Those of another kind are not asked for, and not needed in memory.
    credentials: type === 'client_secret' ? { ...credentials, type } : { type },
    ...given({
      accountkey: type === 'shared_key' ? accountkey : undefined,
      sastoken: type === 'sas_token' ? sastoken?.replace(/^\?/, '') : undefined,
      serviceurl: serviceurl?.replace(/\/+$/, ''),
      cafile: cafile && resolve(cwd, cafile),
    }),
  }
}

/** What credentials are of, where they do not say it themselves. */
export function kindOf({ accountkey, sastoken }: { accountkey?: unknown; sastoken?: unknown }): Kind {
  if (accountkey !== undefined) return 'shared_key'
  return sastoken === undefined ? 'default_credentials' : 'sas_token'
}

type SettledAzure = ReturnType<typeof settleAzure>

export function azureOptions(section: SettledAzure): OptionsOf<'azure'> {
  return {
    accountName: section.accountname,
    container: section.container,
    credentials: credentialsOf(section),
    realm: section.realm,
    rootdirectory: section.rootdirectory ?? '',
    chunkSize: section.chunksize,
    parallel: section.parallel,
    tls: { skipVerify: section.skipverify },
    createContainer: section.createcontainer,
    ...given({ serviceUrl: section.serviceurl }),
  }
}

function credentialsOf({
  credentials,
  accountkey = '',
  sastoken = '',
}: SettledAzure): OptionsOf<'azure'>['credentials'] {
  switch (credentials.type) {
    case 'shared_key':
      return { type: 'shared_key', accountKey: accountkey }
    case 'sas_token':
      return { type: 'sas_token', token: sastoken }
    case 'client_secret': {
      const { tenantid = '', clientid = '', secret = '' } = credentials
      return { type: 'client_secret', tenantId: tenantid, clientId: clientid, secret }
    }
    case 'default_credentials':
      return { type: 'default_credentials' }
    default:
      return credentials satisfies never
  }
}
