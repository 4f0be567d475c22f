import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { migrate } from '../metadata/migrate.ts'
import { createLogger } from './logger.ts'
import { findDatabase } from './registry.ts'

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database to the newest schema and leave (serve does so too when it starts)')
    .argument('[config]', 'configuration file, found as for serve when left out')
    .action(async (file: string | undefined) => {
      const { config } = loadConfig({ argument: file, env: process.env })
      const log = createLogger(config.log)
      await using server = await findDatabase(config, log)
      const applied = await migrate(server.connection, log)
      console.log(applied.length === 0 ? 'the schema is the newest already' : `applied: ${applied.join(', ')}`)
    })
}
