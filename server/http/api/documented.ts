import type { FastifyInstance } from 'fastify'
import { problem } from './views.ts'

/**
 * Has every route say what it is for, what comes in and what goes out, or the server does not start; and adds to each the
 * answer of what is refused, which all have in common.
 */
export function requireDocumentation(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, schema }) => {
    const name = `${String(method)} ${url}`
    if (schema?.hide === true) return
    if (schema?.summary === undefined) throw new Error(`${name} has no summary`)
    if (schema.response === undefined) throw new Error(`${name} does not say what it answers`)
    if (url.includes(':') && schema.params === undefined)
      throw new Error(`${name} does not say what its parameters are`)
    if (typeof schema.response === 'object' && schema.response !== null && !('default' in schema.response))
      Object.assign(schema.response, { default: problem })
  })
}
