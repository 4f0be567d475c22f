import { Type } from 'typebox'
import type { ApiInstance, RouteOptions } from './route-options.ts'

/** Getting back into an account whose password is lost. Without a mail server no one can ask for a code by an address. */
export function recoveryRoutes(app: ApiInstance, { accounts }: RouteOptions): void {
  app.put(
    '/api/v1/recovery',
    {
      config: { api: { for: 'anyone' } },
      schema: {
        summary: 'Set a new password by a recovery code, which a superuser hands over',
        tags: ['user'],
        security: [],
        body: Type.Object({ code: Type.String(), password: Type.String() }),
        response: { 200: Type.Object({ username: Type.String() }) },
      },
    },
    async request => {
      const { code, password } = request.body
      return { username: await accounts.recovery.recover(code, password) }
    },
  )
}
