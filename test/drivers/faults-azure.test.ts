import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createAzureDriver } from '../../storage-drivers/azure/azure.ts'
import type { AzureOptions } from '../../storage-drivers/azure/options.ts'
import { startAzuriteFor } from '../services/azurite.ts'
import { startBadNetwork } from '../storage-drivers/bad-network.ts'
import { testFaults } from '../storage-drivers/faults.ts'

t.setTimeout(300_000)

const { accountName, accountKey, serviceUrl } = await startAzuriteFor(t)

testFaults('azure', async t => {
  const network = await startBadNetwork(t, serviceUrl)
  const options: AzureOptions = {
    accountName,
    container: `faults-${randomUUID()}`,
    credentials: { type: 'shared_key', accountKey },
    realm: 'core.windows.net',
    serviceUrl: `${network.url}/${accountName}`,
    rootdirectory: 'registry',
    chunkSize: 4 * 1024 * 1024,
    parallel: 4,
    tls: { skipVerify: false },
    createContainer: true,
  }
  return {
    network,
    open: () => createAzureDriver(options),
    chunkSize: options.chunkSize,
    heads: { part: /^PUT \S*[?&]comp=block(?:&|\s)/, commit: /^PUT \S*[?&]comp=blocklist(?:&|\s)/ },
    refusal: {
      status: 403,
      headers: { 'content-type': 'application/xml', 'x-ms-error-code': 'AuthenticationFailed' },
      body: '<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>',
    },
    tokens: false,
  }
})
