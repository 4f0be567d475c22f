import type { FastifyInstance } from 'fastify'

/** Every route of an app as `METHOD path`. */
export function routesOf(app: FastifyInstance): string[] {
  const above: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap(line => {
      const [, indent = '', segment = '', methods = ''] = /^(.*?)[├└]── (\S*) \(([A-Z, ]+)\)$/.exec(line) ?? []
      if (methods === '') return []
      const depth = indent.length / 4
      above.splice(depth, above.length, segment)
      return methods.split(', ').map(method => `${method} ${above.join('')}`)
    })
}
