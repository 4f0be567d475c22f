import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { S3Client } from '@aws-sdk/client-s3'
import { createCredentialChain, fromTemporaryCredentials, fromTokenFile } from '@aws-sdk/credential-providers'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { S3Credentials, S3Options } from './options.ts'

const connectMs = 5_000
/** A connection on which nothing moves for so long is given up: a store that has stopped tells nobody. */
const silenceMs = 30_000
/** Requests at a time; more wait. */
const connections = 256

export interface ClientOptions {
  /** In place of the configured one. */
  endpoint?: string | undefined
  /** Told of the time by the store's clock, with each answer. */
  onDate?: (date: Date) => void
}

/** Amazon's client as the driver wants it. It does not repeat requests: the driver does (store.ts). */
export function createS3Client(
  options: S3Options,
  { endpoint = options.endpoint, onDate }: ClientOptions = {},
): S3Client {
  const { region, pathStyle, credentials, tls, userAgent } = options
  const agentOptions = { keepAlive: true, maxSockets: connections }
  const client = new S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: pathStyle,
    ...(credentials === undefined ? {} : { credentials: credentialsFrom(credentials, region) }),
    ...(userAgent === undefined ? {} : { customUserAgent: userAgent }),
    useDualstackEndpoint: options.dualstack,
    useAccelerateEndpoint: options.accelerate,
    useFipsEndpoint: options.fips,
    maxAttempts: 1,
    // Checksums of its own, which newer SDKs add by default, are refused by radosgw and others.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectMs,
      socketTimeout: silenceMs,
      httpAgent: new HttpAgent(agentOptions),
      httpsAgent: new HttpsAgent({
        ...agentOptions,
        rejectUnauthorized: !tls.skipVerify,
        ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      }),
    }),
  })
  // To hash a part once more for its signature would cost as much as hashing the blob; TCP and TLS keep it whole.
  client.middlewareStack.add(
    next => args => {
      headersOf(args.request)['x-amz-content-sha256'] ??= 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'unsignedPayload', priority: 'low' },
  )
  if (onDate !== undefined) {
    client.middlewareStack.add(
      next => async args => {
        const result = await next(args)
        const { date } = headersOf(result.response)
        if (date !== undefined) onDate(new Date(date))
        return result
      },
      { step: 'deserialize', name: 'clock', priority: 'low' },
    )
  }
  return client
}

function credentialsFrom(credentials: S3Credentials, region: string) {
  if (!('role' in credentials)) return keysOf(credentials)
  const { role, accessKey, secretKey } = credentials
  const assumed = {
    params: { RoleArn: role, RoleSessionName: 'berth' },
    clientConfig: { region },
  }
  if (accessKey !== undefined && secretKey !== undefined)
    return fromTemporaryCredentials({ ...assumed, masterCredentials: keysOf({ accessKey, secretKey }) })
  // In a pod the token of its service account stands in a file, and is what the role is given for.
  return createCredentialChain(fromTokenFile({ roleArn: role }), fromTemporaryCredentials(assumed))
}

function keysOf({
  accessKey,
  secretKey,
  sessionToken,
}: {
  accessKey: string
  secretKey: string
  sessionToken?: string
}) {
  const keys = { accessKeyId: accessKey, secretAccessKey: secretKey }
  return sessionToken === undefined ? keys : { ...keys, sessionToken }
}

/** The headers of a request or an answer, which the SDK passes on as something unknown. */
function headersOf(message: unknown): Record<string, string> {
  return typeof message === 'object' && message !== null && 'headers' in message
    ? (message.headers as Record<string, string>)
    : {}
}
