import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { field, startWithAccounts } from '../../helpers/accounts.ts'
import { routesOf } from '../../helpers/routes.ts'

t.test('the description of the API is valid OpenAPI 3.1, and has every route', async t => {
  const { url, app } = await startWithAccounts(t)
  const description = (await (await fetch(`${url}/api/v1/discovery`)).json()) as Record<string, unknown>
  t.match(description['openapi'], /^3\.1\./)
  const validator = new Validator()
  const { valid, errors } = await validator.validate(description)
  t.ok(valid, JSON.stringify(errors))
  const documented = Object.entries(description['paths'] as Record<string, object>).flatMap(([path, operations]) =>
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
  )
  const routes = [...new Set(routesOf(app))].filter(route => / \/api\//.test(route))
  t.strictSame(documented.filter(route => / \/api\//.test(route)).toSorted(), routes.toSorted())
})

t.test('each kind of errors is described where its answers say', async t => {
  const { url } = await startWithAccounts(t)
  const refused = await fetch(`${url}/api/v1/user/`)
  const body: unknown = await refused.json()
  t.equal(field(body, 'error_type'), 'invalid_token')
  const described = await fetch(String(field(body, 'type')))
  t.match(await described.json(), { type: 'invalid_token', description: 'Requires authentication.', status: 401 })
  t.equal((await fetch(`${url}/api/v1/error/nonsense`)).status, 404)
})
