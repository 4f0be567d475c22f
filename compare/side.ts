import { type Answer, ask } from '../conformance/http.ts'
import { at, type Case, type Identity } from './cases/case.ts'
import { password } from './cases/people.ts'
import type { Names } from './differences.ts'

/** One of the two servers, with the sessions that are open there and what its answers have given. */
export interface Side {
  /** Makes a call. @throws Error where it needs what no earlier answer has given */
  ask(one: Case): Promise<Answer>
  /** What is its own in what it says. */
  names(): Names
}

/** A server at this URL. */
export function createSide(url: string): Side {
  const { origin, host } = new URL(url)
  const kept = new Map<string, string>()
  /** The cookies of each identity. */
  const jars = new Map<Identity, Map<string, string>>()

  return {
    names: () => ({ host, service: kept.get('service') ?? host }),

    async ask(one) {
      const headers = { ...(await credentials(one)), ...filledFields(one.headers) }
      const answer = await send(one.as, `${origin}${filled(one.path)}`, {
        method: one.method,
        headers: { ...(isJson(one.body) ? { 'content-type': 'application/json' } : {}), ...headers },
        body: bodyOf(one.body),
      })
      // Whatever it has been given, it remains no one.
      if (one.as === 'anonymous') jars.delete(one.as)
      for (const [name, find] of Object.entries(one.keep)) {
        const found = find(answer)
        if (found !== undefined) kept.set(name, found)
      }
      return answer
    },
  }

  async function credentials({ as, method, path }: Case): Promise<Record<string, string>> {
    switch (as) {
      case 'token':
        return { authorization: `Bearer ${keptAs('access_token')}` }
      case 'bearer':
        return { authorization: `Bearer ${keptAs('bearer')}` }
      case 'password':
        return basic('alice', password)
      case 'robot':
        return basic(keptAs('robot_name'), keptAs('robot_token'))
      case 'anonymous':
      case 'user':
      case 'stranger':
      case 'admin':
        return method === 'GET' || !path.startsWith('/api/') ? {} : { 'x-csrf-token': await csrfToken(as) }
      default:
        return as satisfies never
    }
  }

  async function csrfToken(as: Identity): Promise<string> {
    const answer = await send(as, `${origin}/csrf_token`, { method: 'GET', headers: {}, body: undefined })
    return at('csrf_token')(answer) ?? ''
  }

  async function send(as: Identity, url: string, { method, headers, body }: Sent): Promise<Answer> {
    const jar = jars.get(as) ?? new Map<string, string>()
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await ask(url, {
      method,
      headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    jars.set(as, jar)
    return answer
  }

  function filledFields(fields: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, filled(value)]))
  }

  /** A text with what was kept in its places. */
  function filled(text: string): string {
    return text.replaceAll(/\{(\w+)\}/g, (_place, name: string) => keptAs(name))
  }

  function keptAs(name: string): string {
    const value = kept.get(name)
    if (value === undefined) throw new Error(`no answer has given ${name}`)
    return value
  }

  function bodyOf(body: unknown): string | Buffer | undefined {
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return body
    return JSON.stringify(body, (_key, value: unknown) => (typeof value === 'string' ? filled(value) : value))
  }
}

interface Sent {
  method: string
  headers: Record<string, string>
  body: string | Buffer | undefined
}

function isJson(body: unknown): boolean {
  return body !== undefined && !Buffer.isBuffer(body)
}

function basic(name: string, secret: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` }
}
