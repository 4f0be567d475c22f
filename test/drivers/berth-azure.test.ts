import { randomUUID } from 'node:crypto'
import t from 'tap'
import { startAzuriteFor } from '../services/azurite.ts'
import { testServer } from './whole-server.ts'

const azurite = await startAzuriteFor(t)
testServer('storage.azure on Azurite', async () => ({
  config: {
    version: '0.1',
    storage: {
      azure: {
        accountname: azurite.accountName,
        accountkey: azurite.accountKey,
        serviceurl: azurite.serviceUrl,
        container: `berth-${randomUUID()}`,
      },
    },
  },
  // Not by a kill: it loses what it has not written down for its own sake.
  crash: async () => {
    await azurite.stop()
    return { restart: () => azurite.restart() }
  },
}))
