/** To be loaded before a test: registries that it starts read all bodies the ordinary way. */
import { defaults } from '../../helpers/registry.ts'

defaults.directReads = false
