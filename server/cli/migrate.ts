import { Command } from 'commander'
import { type ConfigurationOptions, readConfiguration, takesConfiguration } from './configuration.ts'
import { findDatabase } from './registry.ts'

export function migrateCommand(): Command {
  const command = new Command('migrate').description(
    'bring the database to the newest schema and leave (serve does so too when it starts)',
  )
  return takesConfiguration(command).action(migrate)
}

async function migrate(file: string | undefined, options: ConfigurationOptions): Promise<void> {
  const { config, log } = readConfiguration(file, options)
  await using server = await findDatabase(config, log)
  const applied = await server.migrate()
  console.log(applied.length === 0 ? 'the schema is the newest already' : `applied: ${applied.join(', ')}`)
}
