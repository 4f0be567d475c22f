import type { Answer } from '../conformance/http.ts'
import { shapeOf } from './shape.ts'

/** Something that one of the two answers has in another way. */
export interface Difference {
  /** `status`, `header content-type`, or a place in the body like `body.users[].email`. */
  at: string
  quay: string
  berth: string
}

/** What an answer is written with that is of one server alone: its address, the name of its token service. */
export interface Names {
  host: string
  service: string
}

export interface Sided {
  answer: Answer
  names: Names
}

/** Those that clients read. */
const headers = ['content-type', 'www-authenticate', 'location', 'link', 'range']
const apiVersion = 'docker-distribution-api-version'
const absent = 'none'

/**
 * What differs between two answers. Where one is a refusal and the other is not, or one server has broken down, nothing but
 * the status is looked at.
 * @param depth how many levels of the bodies are looked at
 */
export function differencesOf(quay: Sided, berth: Sided, depth?: number): Difference[] {
  const both = [quay.answer, berth.answer] as const
  const status = { at: 'status', quay: String(quay.answer.status), berth: String(berth.answer.status) }
  if (classOf(quay.answer) !== classOf(berth.answer)) return [status]

  const docker = both.flatMap(({ headers }) => Object.keys(headers).filter(name => name.startsWith('docker-')))
  // All of Berth's answers have it: that says nothing of one of them.
  const everywhere = quay.answer.headers[apiVersion] === undefined ? apiVersion : undefined
  const told = [...new Set([...headers, ...docker])]
    .filter(name => name !== everywhere)
    .map(name => ({
      at: `header ${name}`,
      quay: headerOf(quay, name),
      berth: headerOf(berth, name),
    }))
  return [status, ...told, ...bodyDifferences(quay.answer.body, berth.answer.body, depth)].filter(
    ({ quay, berth }) => quay !== berth,
  )
}

function bodyDifferences(quay: Buffer, berth: Buffer, depth: number | undefined): Difference[] {
  const [one, other] = [shapeOf(quay, depth), shapeOf(berth, depth)]
  const whole = { at: 'body', quay: one.get('') ?? absent, berth: other.get('') ?? absent }
  if (whole.quay !== whole.berth) return [whole]
  const places = [...new Set([...one.keys(), ...other.keys()])].toSorted()
  const differences = places
    .map(place => ({ place, quay: one.get(place) ?? absent, berth: other.get(place) ?? absent }))
    .filter(({ quay, berth }) => quay !== berth)
  // Of what is missing as a whole, the parts are not told as well.
  const missing = differences.filter(({ quay, berth }) => quay === absent || berth === absent)
  return differences
    .filter(({ place }) => !missing.some(whole => place !== whole.place && isPartOf(place, whole.place)))
    .map(({ place, quay, berth }) => ({ at: `body${place}`, quay, berth }))
}

function classOf({ status }: Answer): string {
  if (status === 500) return 'fault'
  return status < 400 ? 'success' : 'refusal'
}

function isPartOf(place: string, whole: string): boolean {
  return place.startsWith(`${whole}.`) || place.startsWith(`${whole}[]`)
}

/** The value of a header, without what is another one in each answer. */
function headerOf({ answer, names }: Sided, name: string): string {
  const value = answer.headers[name]
  if (value === undefined) return absent
  return String(value)
    .replaceAll(`service="${names.service}"`, 'service="SERVICE"')
    .replaceAll(names.host, 'HOST')
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/(\/blobs\/uploads\/).+/, '$1UPLOAD')
    .replace(/(\/labels\/).+/, '$1LABEL')
    .replace(/^application\/json; ?charset=utf-8$/i, 'application/json')
}
