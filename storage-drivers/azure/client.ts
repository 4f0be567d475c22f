import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import { getCACertificates, TLSSocket } from 'node:tls'
import {
  AnonymousCredential,
  BlobServiceClient,
  newPipeline,
  type StoragePipelineOptions,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import type { TokenCredential } from '@azure/identity'
import { type AzureOptions, serviceUrlOf } from './options.ts'

/** Of the protocol: what is asked for is older than this, and the SDK's own is too new for Azurite and Azure Stack. */
export const protocolVersion = '2020-12-06'

const connectMs = 5_000
/** A connection on which nothing moves for so long is given up: a store that has stopped tells nobody. */
const silenceMs = 30_000
/** Requests at a time; more wait. */
const connections = 256

/** Microsoft's clouds that have their own place to log in, by their realms. */
const authorities: Readonly<Record<string, string>> = {
  'core.chinacloudapi.cn': 'https://login.chinacloudapi.cn',
  'core.usgovcloudapi.net': 'https://login.microsoftonline.us',
}

/** Microsoft's client as the driver wants it. It does not repeat requests: the driver does (store.ts). */
export interface AzureClient extends Disposable {
  service: BlobServiceClient
  credential: StorageSharedKeyCredential | TokenCredential | AnonymousCredential
}

export async function createAzureClient(options: AzureOptions): Promise<AzureClient> {
  const { credentials } = options
  const url = serviceUrlOf(options)
  const credential = await credentialFrom(options)
  const agent = url.startsWith('https:') ? secureAgent(options) : limited(new HttpAgent(agentOptions))
  // The type does not tell, but what an agent is for is the same here as in Microsoft's other clients.
  const settings: StoragePipelineOptions & { agent: HttpAgent } = { agent, retryOptions: { maxTries: 1 } }
  const pipeline = newPipeline(credential, settings)
  pipeline.factories.push({
    create: next => ({
      sendRequest(request) {
        request.headers.set('x-ms-version', protocolVersion)
        return next.sendRequest(request)
      },
    }),
  })
  const signature = credentials.type === 'sas_token' ? `?${credentials.token.replace(/^\?/, '')}` : ''
  return {
    service: new BlobServiceClient(url + signature, pipeline),
    credential,
    [Symbol.dispose]: () => agent.destroy(),
  }
}

async function credentialFrom(options: AzureOptions): Promise<AzureClient['credential']> {
  const { credentials, accountName, realm, tls } = options
  const authorityHost = authorities[realm]
  const place = {
    ...(authorityHost === undefined ? {} : { authorityHost }),
    ...(tls.ca === undefined ? {} : { tlsOptions: { ca: [...getCACertificates(), tls.ca] } }),
  }
  switch (credentials.type) {
    case 'shared_key':
      return new StorageSharedKeyCredential(accountName, credentials.accountKey)
    case 'sas_token':
      return new AnonymousCredential()
    case 'client_secret': {
      // Large, and most have a key.
      const { ClientSecretCredential } = await import('@azure/identity')
      return new ClientSecretCredential(credentials.tenantId, credentials.clientId, credentials.secret, place)
    }
    case 'default_credentials': {
      const { DefaultAzureCredential } = await import('@azure/identity')
      return new DefaultAzureCredential(place)
    }
    default:
      return credentials satisfies never
  }
}

const agentOptions = { keepAlive: true, maxSockets: connections, timeout: silenceMs }

function secureAgent({ tls }: AzureOptions): HttpsAgent {
  return limited(
    new HttpsAgent({
      ...agentOptions,
      rejectUnauthorized: !tls.skipVerify,
      ...(tls.ca === undefined ? {} : { ca: [...getCACertificates(), tls.ca] }),
    }),
  )
}

/** The agent whose connections end with ETIMEDOUT when they don't come about or nothing moves on them; the SDK has no limits. */
function limited<Agent extends HttpAgent>(agent: Agent): Agent {
  const connect = agent.createConnection.bind(agent)
  const reuse = agent.reuseSocket.bind(agent)
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback)
    if (socket instanceof Socket) {
      socket.setTimeout(connectMs, () => socket.destroy(silence(socket)))
      socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', () => socket.setTimeout(silenceMs))
    }
    return socket
  }
  agent.reuseSocket = (socket, request) => {
    reuse(socket, request)
    // While it was free the server may have had its say in this.
    if (socket instanceof Socket) socket.setTimeout(silenceMs)
  }
  return agent
}

function silence(socket: Socket): Error {
  const what = socket.connecting ? 'no connection' : 'no answer'
  return Object.assign(new Error(`${what} within ${(socket.timeout ?? 0) / 1000} seconds`), { code: 'ETIMEDOUT' })
}
