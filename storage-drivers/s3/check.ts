import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { S3Options } from './options.ts'
import { isMissing, nameOf, type S3Store, statusOf } from './store.ts'

/** S3 refuses requests whose clock is a quarter of an hour off; temporary URLs suffer sooner. */
const clockMayDifferMs = 5 * 60_000

/**
 * Puts, gets and deletes a small object; makes the bucket where it is missing and may be made. It needs no right that
 * the registry does not need anyway.
 * @param store one that is not patient: who starts Berth, or asks for its health, wants to know it now
 * @throws Error with what is wrong and what to do, as one sentence
 */
export async function checkStore(store: S3Store, options: S3Options): Promise<void> {
  try {
    await tryOut(store).catch(async (error: unknown) => {
      if (nameOf(error) !== 'NoSuchBucket' || !options.createBucket) throw error
      await store.createBucket()
      await tryOut(store)
    })
  } catch (error) {
    throw new Error(sentenceFor(error, options, store.clockAhead()), { cause: error })
  }
  if (Math.abs(store.clockAhead()) > clockMayDifferMs) throw new Error(clockSentence(store.clockAhead()))
}

async function tryOut(store: S3Store): Promise<void> {
  const name = `check/${randomUUID()}`
  await store.put(name, Buffer.from('check'))
  const found = await buffer(await store.get(name, { first: 0, last: 4 }))
  await store.delete([name])
  if (found.toString() !== 'check') throw new Error('what was put is not what is got')
}

function sentenceFor(error: unknown, options: S3Options, clockAhead: number): string {
  const { bucket, region, section } = options
  const place = options.endpoint ?? `Amazon S3 in ${region}`
  const reason = reasonOf(error)
  switch (nameOf(error)) {
    case 'NoSuchBucket':
      return `there is no bucket ${bucket} at ${place}: make it, correct ${section}.bucket, or let Berth make it by ${section}.createbucket: true`
    case 'BucketAlreadyExists':
      return `the bucket ${bucket} at ${place} belongs to somebody else: choose another name in ${section}.bucket`
    case 'InvalidBucketName':
      return `${place} takes no bucket with the name ${bucket}: choose 3 to 63 small letters, digits and hyphens in ${section}.bucket`
    case 'TooManyBuckets':
      return `${place} lets this user have no more buckets: make ${bucket} as another user, or raise the limit`
    case 'InvalidAccessKeyId':
    case 'InvalidToken':
      return options.encryption?.keyId === undefined
        ? `${place} does not know the key in ${section}.accesskey: correct it`
        : `${place} does not know the key in ${section}.accesskey, or that for encryption in ${section}.keyid: correct them`
    case 'KMS.NotFoundException':
    case 'KMS.DisabledException':
      return `${place} has no such key for encryption (${reason}): correct ${section}.keyid`
    case 'SignatureDoesNotMatch':
      return `${place} refuses the signature: correct ${section}.secretkey, or ${section}.region where the server insists on its own`
    case 'ExpiredToken':
    case 'ExpiredTokenException':
      return `the session token of S3 has expired: give a new ${section}.sessiontoken, or leave it and the keys out and let a role be assumed`
    case 'RequestTimeTooSkewed':
      return clockSentence(clockAhead)
    case 'AccessDenied':
    case 'AllAccessDisabled':
      return `${place} does not let this user put, get and delete objects in the bucket ${bucket} (${reason}): give it these rights, or correct ${section}.accesskey and ${section}.bucket`
    case 'PermanentRedirect':
    case 'AuthorizationHeaderMalformed':
    case 'IllegalLocationConstraintException':
      return `the bucket ${bucket} is in another region than ${region} (${reason}): correct ${section}.region`
    case 'QuotaExceeded':
      return `the quota of the bucket ${bucket} at ${place} is used up: raise it, or delete objects`
    case 'CredentialsProviderError':
      return `no credentials for S3 were found (${reason}): set ${section}.accesskey and ${section}.secretkey, or give this machine a role`
    default:
      return generalSentence(error, options, { place, reason })
  }
}

function generalSentence(
  error: unknown,
  { tls, bucket, section }: S3Options,
  { place, reason }: { place: string; reason: string },
): string {
  const code = codeOf(error)
  if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/.test(code))
    return `the certificate of ${place} is not trusted (${reason}): name its CA in ${section}.cafile${tls.ca === undefined ? '' : ', which has another one'}`
  if (/WRONG_VERSION_NUMBER|EPROTO/.test(code))
    return `${place} does not speak TLS: write http:// in ${section}.regionendpoint, or set ${section}.secure: false`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `the host of ${place} is not known (${reason}): correct ${section}.regionendpoint or ${section}.region`
  if (statusOf(error) === undefined || (statusOf(error) ?? 0) >= 500)
    return `S3 at ${place} does not answer as it should (${reason}): see that it runs and that ${section}.regionendpoint is right`
  if (isMissing(error) || statusOf(error) === 405)
    return `${place} does not answer like S3 (${reason}): correct ${section}.regionendpoint`
  return `the bucket ${bucket} at ${place} can not be used (${reason}): see the settings below ${section}`
}

function clockSentence(ahead: number): string {
  const minutes = Math.round(Math.abs(ahead) / 60_000)
  return `the clock of this machine is ${minutes} minutes ${ahead > 0 ? 'behind' : 'ahead of'} the one of S3: have it set by NTP`
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const status = statusOf(error)
  const said = [error.name === 'Error' ? '' : error.name, error.message].filter(part => part !== '').join(': ')
  return status === undefined ? said : `${status} ${said}`
}

/** The system's or TLS's own code, however deep in the error it is. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return error.errors.map(codeOf).find(code => code !== '') ?? ''
  return codeOf(error.cause)
}
