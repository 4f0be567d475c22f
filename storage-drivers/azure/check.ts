import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { StorageUnavailable } from '../driver.ts'
import { protocolVersion } from './client.ts'
import { codeOf, headerOf, statusOf } from './failures.ts'
import { type AzureCredentials, type AzureOptions, serviceUrlOf } from './options.ts'
import { markOf } from './state.ts'
import type { AzureStore } from './store.ts'

/** Azure refuses requests whose clock is a quarter of an hour off; URLs expire too soon or too late before that. */
const clockMayDifferMs = 5 * 60_000

/**
 * Puts, gets and deletes a small object; makes the container where it is missing and may be made. It needs no right that
 * the registry does not need anyway: a signature for the container would not let us ask about the container.
 * @throws Error with what is wrong and what to do, as one sentence
 */
export async function checkStore(store: AzureStore, options: AzureOptions): Promise<void> {
  let clock: Date | undefined
  try {
    clock = await tryOut(store).catch(async (error: unknown) => {
      if (codeOf(error) !== 'ContainerNotFound' || !options.createContainer) throw error
      await store.createContainer()
      return tryOut(store)
    })
  } catch (error) {
    throw new Error(sentenceFor(error instanceof StorageUnavailable ? error.cause : error, options), { cause: error })
  }
  if (isOff(clock)) throw new Error(clockSentence(clock))
}

/** @returns the store's time */
async function tryOut(store: AzureStore): Promise<Date | undefined> {
  // The name of a mark: should it stay, it is taken for an upload that was abandoned.
  const name = markOf(randomUUID())
  const date = await store.put(name, Buffer.from('check'))
  const found = await buffer(await store.get(name, { first: 0, last: 4 }))
  await store.delete([name])
  if (found.toString() !== 'check') throw new Error('what was put is not what is got')
  return date
}

function sentenceFor(error: unknown, options: AzureOptions): string {
  const { accountName, container, credentials } = options
  const place = `the account ${accountName} at ${serviceUrlOf(options)}`
  const reason = reasonOf(error)
  const date = headerOf(error, 'date')
  const clock = date === undefined ? undefined : new Date(date)
  if (statusOf(error) === 403 && isOff(clock)) return clockSentence(clock)
  // As Azurite says it, where Azure says AuthenticationFailed.
  if (statusOf(error) === 403 && /failed to authenticate/.test(reason)) return refusalSentence(place, credentials)
  switch (codeOf(error)) {
    case 'ContainerNotFound':
      return `there is no container ${container} in ${place}: make it, correct storage.azure.container, or let Berth make it by storage.azure.createcontainer: true`
    case 'ContainerBeingDeleted':
      return `the container ${container} in ${place} is being deleted: wait some minutes, or choose another one in storage.azure.container`
    case 'ContainerDisabled':
      return `the container ${container} in ${place} is disabled: have it enabled, or choose another one in storage.azure.container`
    case 'InvalidResourceName':
    case 'OutOfRangeInput':
      return `Azure takes no container with the name ${container}: choose 3 to 63 small letters, digits and hyphens in storage.azure.container`
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
    case 'NoAuthenticationInformation':
      return refusalSentence(place, credentials)
    case 'KeyBasedAuthenticationNotPermitted':
      return `${place} takes no account keys: allow them there, or use an identity by storage.azure.credentials`
    case 'AuthorizationPermissionMismatch':
    case 'AuthorizationFailure':
    case 'AuthorizationProtocolMismatch':
    case 'AuthorizationResourceTypeMismatch':
    case 'AuthorizationServiceMismatch':
    case 'AuthorizationSourceIPMismatch':
    case 'InsufficientAccountPermissions':
      return `${place} does not let us put, get and delete objects in the container ${container} (${reason}): ${rights[credentials.type]}, and see that its firewall lets this machine in`
    case 'AccountIsDisabled':
      return `${place} is disabled: have it enabled, or choose another one in storage.azure.accountname`
    case 'InvalidHeaderValue':
      return `${place} does not take the protocol of ${protocolVersion} (${reason}): use a newer server, such as Azurite from 3.15 on`
    default:
      return generalSentence(error, options, { place, reason })
  }
}

function refusalSentence(place: string, credentials: AzureCredentials): string {
  switch (credentials.type) {
    case 'shared_key':
      return `${place} refuses the key: correct storage.azure.accountkey, or storage.azure.accountname if it is the key of another account`
    case 'sas_token':
      return `${place} refuses the signature${expiryOf(credentials.token)}: give a new one in storage.azure.sastoken, with the rights to read, add, create, write, delete and list`
    case 'client_secret':
      return `${place} refuses the identity of storage.azure.credentials: correct its tenantid, clientid and secret`
    case 'default_credentials':
      return `${place} refuses the identity of this machine: see that it is one of the tenant that the account belongs to`
    default:
      return credentials satisfies never
  }
}

const rights: Readonly<Record<AzureCredentials['type'], string>> = {
  shared_key: 'see that its keys are allowed',
  sas_token: 'give a signature in storage.azure.sastoken with the rights to read, add, create, write, delete and list',
  client_secret: 'give the identity of storage.azure.credentials the role Storage Blob Data Contributor there',
  default_credentials: 'give the identity of this machine the role Storage Blob Data Contributor there',
}

function expiryOf(token: string): string {
  const ends = new Date(new URLSearchParams(token.replace(/^\?/, '')).get('se') ?? '')
  return ends.getTime() < Date.now() ? `, which ended at ${ends.toISOString()}` : ''
}

function generalSentence(
  error: unknown,
  { accountName, container, credentials, tls }: AzureOptions,
  { place, reason }: { place: string; reason: string },
): string {
  const code = codeOf(error)
  const status = statusOf(error)
  if (
    error instanceof Error &&
    /^(?:Authentication|AggregateAuthentication|CredentialUnavailable|AuthenticationRequired)/.test(error.name)
  )
    return credentials.type === 'client_secret'
      ? `the identity for ${place} can not log in (${reason}): correct tenantid, clientid and secret in storage.azure.credentials`
      : `this machine has no identity for ${place} (${reason}): give it one, or set storage.azure.accountkey`
  if (error instanceof Error && /not permitted for non-TLS/.test(error.message))
    return `${place} would get the token of an identity without TLS: write https:// in storage.azure.serviceurl, or set storage.azure.accountkey`
  if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/.test(code))
    return `the certificate of ${place} is not trusted (${reason}): name its CA in storage.azure.cafile${tls.ca === undefined ? '' : ', which has another one'}`
  if (/WRONG_VERSION_NUMBER|EPROTO|SSL/.test(code))
    return `${place} does not speak TLS: write http:// in storage.azure.serviceurl`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `there is no account ${accountName} (${reason}): correct storage.azure.accountname, or storage.azure.serviceurl and storage.azure.realm`
  if (status === undefined || status >= 500)
    return `${place} does not answer as it should (${reason}): see that this machine can reach it, and that storage.azure.serviceurl is right`
  if (status === 404 || status === 405)
    return `${place} does not answer like the blobs of Azure (${reason}): correct storage.azure.serviceurl, which ends with the account's name where that is not a part of the host's`
  return `the container ${container} in ${place} can not be used (${reason}): see the settings below storage.azure`
}

function isOff(clock: Date | undefined): clock is Date {
  return clock !== undefined && Math.abs(clock.getTime() - Date.now()) > clockMayDifferMs
}

function clockSentence(clock: Date): string {
  const ahead = clock.getTime() - Date.now()
  const minutes = Math.round(Math.abs(ahead) / 60_000)
  return `the clock of this machine is ${minutes} minutes ${ahead > 0 ? 'behind' : 'ahead of'} the one of Azure: have it set by NTP`
}

/** The first line, where Azure tells nothing of requests and times that differ each time. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [line = ''] = error.message.trim().split('\n')
  const status = statusOf(error)
  return [status, codeOf(error), line].filter(part => part !== undefined && part !== '').join(' ')
}
