import { Type } from 'typebox'
import { accountErrors, isAccountErrorKind, notFound } from '../../accounts/errors.ts'
import type { ApiInstance } from './route-options.ts'

/** What the API says of itself. */
export function discoveryRoutes(app: ApiInstance): void {
  app.get(
    '/api/v1/discovery',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'The description of this API (OpenAPI 3.1)',
        tags: ['discovery'],
        security: [],
        response: { 200: Type.Object({}, { additionalProperties: true }) },
      },
    },
    async () => ({ ...app.swagger() }),
  )

  app.get(
    '/api/v1/error/:kind',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'What a kind of errors means',
        tags: ['discovery'],
        security: [],
        params: Type.Object({ kind: Type.String() }),
        response: {
          200: Type.Object({
            title: Type.String(),
            type: Type.String(),
            description: Type.String(),
            status: Type.Integer(),
          }),
        },
      },
    },
    async request => {
      const { kind } = request.params
      if (!isAccountErrorKind(kind)) throw notFound()
      const { title, status } = accountErrors[kind]
      return { title, type: kind, description: `${title}.`, status }
    },
  )
}
