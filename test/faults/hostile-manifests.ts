import { createHash } from 'node:crypto'
import { type Content, type Image, imageType, indexType, layerType } from '../helpers/images.ts'
import type { Hostile } from './hostile-paths.ts'
import { requestBytes } from './raw.ts'

/** Manifests that are wrong, each in a way of its own. */

/** JSON that stands for itself: what JSON.stringify would not write. */
const raw = (text: string) => ({ raw: text })

const wrongValues = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  3,
  2 ** 53,
  1e21,
  '',
  ' ',
  'x',
  'x'.repeat(10_000),
  '\0',
  '💥',
  [],
  {},
  [null],
  [[]],
  { a: 1 },
  '2',
  'sha256:x',
  raw('1e999'),
  raw('-0'),
  raw('"\\ud800"'),
  raw(`{"__proto__":{"a":1}}`),
]

/** The fields of an image, with what may stand in each although it is in the list above. */
const imageFields: Record<string, (value: unknown) => boolean> = {
  schemaVersion: () => false,
  mediaType: () => false,
  config: () => false,
  'config.mediaType': () => false,
  'config.digest': () => false,
  'config.size': () => false,
  layers: value => value === null || isEmptyList(value),
  'layers.0': () => false,
  'layers.0.mediaType': () => false,
  'layers.0.digest': () => false,
  'layers.0.size': () => false,
  'layers.0.urls': value => value === null || isEmptyList(value),
  'layers.0.annotations': value => value === null || isEmptyObject(value),
  'layers.0.data': value => value === null,
  annotations: value => value === null || isEmptyObject(value),
  subject: value => value === null,
  'subject.digest': () => false,
  // Registries take the word of a manifest for the size of another one.
  'subject.size': isSize,
  'subject.mediaType': () => false,
  artifactType: value => value === null || value === '',
  manifests: () => false,
}

const indexFields: Record<string, (value: unknown) => boolean> = {
  schemaVersion: () => false,
  mediaType: () => false,
  manifests: value => value === null || isEmptyList(value),
  'manifests.0': () => false,
  'manifests.0.mediaType': () => false,
  'manifests.0.digest': () => false,
  'manifests.0.size': isSize,
  'manifests.0.platform': value => value === null || (typeof value === 'object' && !Array.isArray(value)),
  'manifests.0.platform.os': value => typeof value === 'string' || isRaw(value, /^"/),
  'manifests.0.artifactType': value => value === null || value === '',
  annotations: value => value === null || isEmptyObject(value),
  subject: value => value === null,
  artifactType: value => value === null || value === '',
  layers: () => false,
  config: () => false,
}

function isSize(value: unknown): boolean {
  return (Number.isSafeInteger(value) && Number(value) >= 0) || isRaw(value, /^-0$/)
}

function isRaw(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'object' && value !== null && 'raw' in value && pattern.test(String(value.raw))
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
}

/** The JSON of a value, with one place in it replaced. */
function withField(base: object, path: string, value: unknown): string {
  const mark = 'replaced-here'
  const copy: unknown = structuredClone(base)
  const keys = path.split('.')
  let at: unknown = copy
  for (const key of keys.slice(0, -1)) at = step(at, key)
  if (typeof at === 'object' && at !== null) Reflect.set(at, keys.at(-1) ?? '', mark)
  const text = typeof value === 'object' && value !== null && 'raw' in value ? String(value.raw) : JSON.stringify(value)
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => text)
}

function step(at: unknown, key: string): unknown {
  if (typeof at !== 'object' || at === null) throw new Error(`there is no ${key}`)
  if (!Reflect.has(at, key)) Reflect.set(at, key, {})
  return Reflect.get(at, key)
}

export interface ManifestTarget {
  repository: string
  image: Image
  index: Content
}

export function hostileManifests({ repository, image, index }: ManifestTarget): Hostile[] {
  const base: object = {
    ...JSON.parse(image.manifest.bytes.toString()),
    subject: { mediaType: imageType, digest: image.manifest.digest, size: image.manifest.bytes.length },
  }
  const indexBase: object = JSON.parse(index.bytes.toString())
  const fields = [
    ...fieldTexts(base, imageFields).map(([what, text]) => [what, text, imageType] as const),
    ...fieldTexts(indexBase, indexFields).map(([what, text]) => [what, text, indexType] as const),
  ]
  const whole = wholeBodies(image, index)
  return [
    ...fields.flatMap(([what, text, type], at) => put(repository, what, Buffer.from(text), type, at % 2 === 0)),
    ...whole.flatMap(([what, body]) =>
      [
        imageType,
        indexType,
        'application/json',
        'text/html',
        '',
        'application/vnd.docker.distribution.manifest.v2+json',
      ].flatMap((type, at) => put(repository, what, body, type, at % 2 === 0)),
    ),
    // What is right in itself, under a type that it is not of.
    ...[
      indexType,
      'text/html',
      'image/svg+xml',
      'application/vnd.docker.distribution.manifest.v1+json',
      'x',
      '/',
      'a/b/c',
      `application/${'x'.repeat(3000)}+json`,
    ].flatMap(type =>
      put(
        repository,
        `an image as ${type.slice(0, 60)}`,
        Buffer.from(JSON.stringify({ ...base, annotations: { a: 'b' } })),
        type,
        true,
      ),
    ),
  ]
}

function fieldTexts(base: object, fields: Record<string, (value: unknown) => boolean>): [string, string][] {
  return Object.entries(fields).flatMap(([path, mayBe]) =>
    wrongValues
      .filter(value => !mayBe(value) && !(path === 'schemaVersion' && value === 2))
      .map((value): [string, string] => [
        `${path} = ${JSON.stringify(value).slice(0, 40)}`,
        withField(base, path, value),
      ]),
  )
}

function wholeBodies(image: Image, index: Content): [string, Buffer][] {
  const text = image.manifest.bytes.toString()
  const parsed = JSON.parse(text)
  const absent = { mediaType: layerType, digest: `sha256:${'ab'.repeat(32)}`, size: 5 }
  const texts: Record<string, string> = {
    nothing: '',
    blanks: ' \n\t ',
    'an open brace': '{',
    'an empty object': '{}',
    'an empty list': '[]',
    null: 'null',
    'a number': '1',
    'a text': '"a"',
    words: 'not JSON at all',
    HTML: '<html><script>alert(1)</script></html>',
    'half of an image': text.slice(0, text.length / 2),
    'an image and more': `${text}{}`,
    'a byte order mark': `\ufeff${text}`,
    'a comment': `/* */${text}`,
    'a trailing comma': text.replace(/\}$/, ',}'),
    'single quotes': text.replaceAll('"', "'"),
    'a key twice': text.replace('{', '{"schemaVersion":2,'),
    'a key twice, spelt otherwise': text.replace('{', '{"\\u0073chemaVersion":2,'),
    'a thousand lists in lists': '['.repeat(1000) + ']'.repeat(1000),
    'a hundred thousand open lists': '['.repeat(100_000),
    'a hundred thousand objects in objects': '{"a":'.repeat(100_000),
    'an image that is too deep': text.replace('{', `{"x":${'['.repeat(200)}${']'.repeat(200)},`),
    'a layer that is not there': JSON.stringify({ ...parsed, layers: [absent] }),
    'a config that is not there': JSON.stringify({ ...parsed, config: absent }),
    'a layer of another size': JSON.stringify({
      ...parsed,
      layers: [{ ...parsed.layers[0], size: parsed.layers[0].size + 1 }],
    }),
    'a child that is not there': JSON.stringify({
      ...JSON.parse(index.bytes.toString()),
      manifests: [{ ...absent, mediaType: imageType }],
    }),
    'a thousand layers that are not there': JSON.stringify({
      ...parsed,
      layers: Array.from({ length: 1000 }, (_, at) => ({
        ...absent,
        digest: `sha256:${at.toString(16).padStart(64, '0')}`,
      })),
    }),
    'sizes that no one can add': JSON.stringify({
      ...parsed,
      layers: [1, 2, 3].map(at => ({
        ...absent,
        digest: `sha256:${String(at).repeat(64)}`,
        size: Number.MAX_SAFE_INTEGER,
      })),
    }),
    'schema 1': JSON.stringify({ schemaVersion: 1, name: 'a', tag: 'b', architecture: 'c', fsLayers: [], history: [] }),
    'no config': JSON.stringify({ ...parsed, config: undefined }),
    'no layers': JSON.stringify({ ...parsed, layers: undefined }),
    'only a version': '{"schemaVersion":2}',
    'an image and an index in one': JSON.stringify({ ...parsed, manifests: [] }),
  }
  return [
    ...Object.entries(texts).map(([what, body]): [string, Buffer] => [what, Buffer.from(body)]),
    ['bytes that are not UTF-8', Buffer.from(text.replace('linux', 'l\xffnux').replace('{', '{"a":"\xff",'), 'latin1')],
    ['UTF-16', Buffer.from(text, 'utf16le')],
    ['zeros', Buffer.alloc(10_000)],
    ['blanks of 4 MiB and more', Buffer.concat([image.manifest.bytes, Buffer.alloc(4 * 2 ** 20, ' ')])],
  ]
}

function put(repository: string, what: string, body: Buffer, type: string, byTag: boolean): Hostile[] {
  const reference = byTag ? 'hostile' : `sha256:${createHash('sha256').update(body).digest('hex')}`
  const headers: [string, string][] = type === '' ? [] : [['Content-Type', type]]
  return [
    {
      what: `a manifest with ${what}, as ${type.slice(0, 60)}`,
      pieces: [
        requestBytes('PUT', `/v2/${repository}/manifests/${reference}`, {
          headers: [...headers, ...(body.length === 0 ? [['Content-Length', '0'] as const] : [])],
          body,
        }),
      ],
      methods: ['PUT'],
      expect: 'refused',
    },
  ]
}
