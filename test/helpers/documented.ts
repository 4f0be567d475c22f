import { Ajv2020 } from 'ajv/dist/2020.js'

/** An answer of the REST API, with what was asked for. */
export interface Asked {
  method: string
  /** With its query. */
  path: string
  status: number
  body: unknown
}

interface Operation {
  responses: Record<string, { content?: Record<string, { schema?: object }> }>
}
type Paths = Record<string, Record<string, Operation>>

const descriptions = new Map<string, Promise<Paths>>()
const ajv = new Ajv2020({ strict: false, validateFormats: false })

/** @throws Error when an answer is not one that the registry's own description of its API has */
export async function checkDocumented(url: string, { method, path, status, body }: Asked): Promise<void> {
  const description = descriptions.get(url) ?? describe(url)
  descriptions.set(url, description)
  const operation = operationOf(await description, method, path)
  // What is not there is not described.
  if (operation === undefined) {
    if (status !== 404 && status !== 405) throw new Error(`${method} ${path} is not documented, and answers ${status}`)
    return
  }
  const response = operation.responses[String(status)] ?? operation.responses['default']
  if (response === undefined) throw new Error(`${method} ${path} answers ${status}, which is not documented`)
  const schema = response.content?.['application/json']?.schema
  if (schema === undefined || body === undefined) return
  if (!ajv.validate(schema, body)) {
    const faults = ajv.errorsText(ajv.errors)
    throw new Error(`${method} ${path} answers ${status} in another shape than it is documented: ${faults}`)
  }
}

async function describe(url: string): Promise<Paths> {
  const { paths } = (await (await fetch(`${url}/api/v1/discovery`)).json()) as { paths: Paths }
  return paths
}

/** The operation of the longest path that this can be, with the fewest parameters: a repository's name may have slashes. */
function operationOf(paths: Paths, method: string, path: string): Operation | undefined {
  const [asked = ''] = path.split('?', 1)
  const plain = asked.length > 1 ? asked.replace(/\/$/, '') : asked
  return Object.entries(paths)
    .filter(([template]) => patternOf(template).test(plain))
    .toSorted(([one], [other]) => segmentsOf(other) - segmentsOf(one) || parametersOf(one) - parametersOf(other))
    .map(([, operations]) => operations[method.toLowerCase()])
    .find(operation => operation !== undefined)
}

/** Only the names of repositories have slashes, or encoded ones. */
function patternOf(template: string): RegExp {
  const pattern = template.replaceAll('{repository}', '(?:[^/]+/.+|[^/]*%2[Ff][^/]*)').replaceAll(/\{\w+\}/g, '[^/]+')
  return new RegExp(`^${pattern}$`)
}

function segmentsOf(template: string): number {
  return template.split('/').length
}

function parametersOf(template: string): number {
  return template.match(/\{/g)?.length ?? 0
}
