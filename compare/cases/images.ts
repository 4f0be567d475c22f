import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Answer } from '../../conformance/http.ts'
import { at, call, type Case, type Identity } from './case.ts'

/** A small image, the same for both. */
const layer = gzipSync(Buffer.alloc(1024))
const config = Buffer.from(
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    author: 'alice',
    created: '2026-01-01T00:00:00Z',
    config: { Cmd: ['true'], Labels: { purpose: 'comparison' } },
    rootfs: { type: 'layers', diff_ids: [digestOf(Buffer.alloc(1024))] },
    history: [{ created: '2026-01-01T00:00:00Z', created_by: 'COPY a b', comment: 'a layer' }],
  }),
)
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const configType = 'application/vnd.oci.image.config.v1+json'
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: configType, size: config.length, digest: digestOf(config) },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', size: layer.length, digest: digestOf(layer) }],
  }),
)
const indexType = 'application/vnd.oci.image.index.v1+json'
const platform = { architecture: 'amd64', os: 'linux' }
const index = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [{ mediaType: manifestType, size: manifest.length, digest: digestOf(manifest), platform }],
  }),
)
const missing = `sha256:${'0'.repeat(64)}`

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

const pushed = '/v2/alice/pushed'
const repository = '/api/v1/repository/alice/pushed'
const readers = ['anonymous', 'stranger', 'user'] as const
const bytes = { 'content-type': 'application/octet-stream' }
const keepToken = { bearer: at('token') }
/** Where an upload goes on, as the beginning of a URL that a parameter is added to. */
const keepUpload = {
  upload({ headers }: Answer): string | undefined {
    if (headers.location === undefined) return undefined
    const { pathname, search } = new URL(headers.location, 'http://localhost')
    return `${pathname}${search === '' ? '?' : `${search}&`}`
  },
}

function authorize(as: Identity, scope: string, note?: string): Case {
  const query = `service={service}${scope === '' ? '' : `&scope=${scope}`}`
  return call(as, `GET /v2/auth?${query}`, { keep: keepToken, ...(note === undefined ? {} : { note }) })
}

/** Tokens for the registry's own API, a push, a pull and their refusals by plain HTTP. */
export const images: readonly Case[] = [
  ...tokens(),
  authorize('password', 'repository:alice/pushed:pull,push', 'for a push'),
  call('bearer', 'GET /v2/'),
  ...push(),
  ...pull(),
  ...refusals(),
]

function tokens(): Case[] {
  return [
    authorize('anonymous', ''),
    authorize('anonymous', 'repository:alice/made:pull', 'public'),
    authorize('anonymous', 'repository:acme/app:pull,push'),
    authorize('password', ''),
    authorize('password', 'repository:acme/app:pull,push'),
    authorize('password', 'repository:acme/app:*'),
    authorize('password', 'repository:nowhere/app:pull,push'),
    authorize('password', 'repository:acme/app:pull&scope=repository:alice/made:pull'),
    authorize('password', 'registry:catalog:*'),
    authorize('password', 'wrong'),
    authorize('robot', 'repository:acme/app:pull,push'),
    authorize('robot', 'repository:alice/made:push'),
    call('password', 'GET /v2/auth', { note: 'without a service' }),
    call('password', 'GET /v2/auth?service=elsewhere&scope=repository:acme/app:pull'),
    ...Object.entries({
      'a wrong password': 'mallory:wrong',
      'a name that is not there': 'nobody:wrong',
      'a robot that is not there': 'acme+nobody:wrong',
      'a wrong app token': '$app:wrong',
      'a wrong OAuth token': '$oauthtoken:wrong',
      'no name': ':',
    }).map(([note, credentials]) =>
      call('anonymous', 'GET /v2/auth?service={service}&scope=repository:acme/app:pull', {
        headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
        note,
      }),
    ),
  ]
}

function push(): Case[] {
  const uploads = `POST ${pushed}/blobs/uploads/`
  const start = (note: string) => call('bearer', uploads, { keep: keepUpload, note })
  return [
    call('anonymous', uploads),
    call('bearer', `HEAD ${pushed}/blobs/${digestOf(layer)}`, { note: 'before the push' }),
    start('for a layer'),
    call('bearer', 'PATCH {upload}', {
      body: layer,
      headers: { ...bytes, 'content-range': `0-${layer.length - 1}` },
      keep: keepUpload,
    }),
    call('bearer', 'GET {upload}', { note: 'how far it is' }),
    call('bearer', `PUT {upload}digest=${digestOf(layer)}`, { headers: bytes }),
    start('for a configuration'),
    call('bearer', `PUT {upload}digest=${digestOf(config)}`, { body: config, headers: bytes, note: 'with the bytes' }),
    start('for a wrong digest'),
    call('bearer', `PUT {upload}digest=${missing}`, { body: config, headers: bytes, note: 'a wrong digest' }),
    start('to be ended'),
    call('bearer', 'DELETE {upload}'),
    call('bearer', `PUT {upload}digest=${digestOf(config)}`, { body: config, headers: bytes, note: 'ended' }),
    call('bearer', `${uploads}?digest=${digestOf(layer)}`, { body: layer, headers: bytes }),
    call('bearer', `${uploads}?mount=${digestOf(layer)}&from=alice/made`),
    putManifest('latest', manifest, manifestType),
    putManifest('second', manifest, manifestType),
    putManifest('many', index, indexType),
    putManifest(digestOf(manifest), manifest, manifestType),
    putManifest(missing, manifest, manifestType, 'a wrong digest'),
    putManifest('wrong', Buffer.from('{'), manifestType, 'no JSON'),
    putManifest('wrong', withoutBlobs(), manifestType, 'of blobs that are not there'),
    putManifest('wrong', manifest, 'text/plain', 'of another type'),
    putManifest('.wrong', manifest, manifestType, 'a wrong tag'),
  ]
}

function putManifest(reference: string, body: Buffer, type: string, note?: string): Case {
  const headers = { 'content-type': type }
  return call('bearer', `PUT ${pushed}/manifests/${reference}`, {
    body,
    headers,
    ...(note === undefined ? {} : { note }),
  })
}

function withoutBlobs(): Buffer {
  return Buffer.from(manifest.toString().replaceAll(digestOf(layer), missing))
}

function pull(): Case[] {
  const accept = { accept: `${manifestType}, ${indexType}` }
  return [
    authorize('password', 'repository:alice/pushed:pull', 'for a pull'),
    call('bearer', `GET ${pushed}/manifests/latest`, { headers: accept }),
    call('bearer', `HEAD ${pushed}/manifests/latest`, { headers: accept }),
    call('bearer', `GET ${pushed}/manifests/latest`, { note: 'accepting anything' }),
    call('bearer', `GET ${pushed}/manifests/many`, { headers: accept }),
    call('bearer', `GET ${pushed}/manifests/${digestOf(manifest)}`, { headers: accept }),
    call('bearer', `GET ${pushed}/manifests/nothing`, { headers: accept }),
    call('bearer', `HEAD ${pushed}/manifests/nothing`, { headers: accept }),
    call('bearer', `GET ${pushed}/manifests/${missing}`, { headers: accept }),
    call('bearer', `GET ${pushed}/blobs/${digestOf(config)}`),
    call('bearer', `HEAD ${pushed}/blobs/${digestOf(config)}`),
    call('bearer', `GET ${pushed}/blobs/${digestOf(config)}`, { headers: { range: 'bytes=0-9' }, note: 'ten bytes' }),
    call('bearer', `GET ${pushed}/blobs/${missing}`),
    call('bearer', `GET ${pushed}/tags/list`),
    call('bearer', `GET ${pushed}/tags/list?n=1`),
    call('bearer', `GET ${pushed}/referrers/${digestOf(manifest)}`),
    call('bearer', 'GET /v2/_catalog'),
    call('anonymous', 'GET /v2/_catalog'),
  ]
}

function refusals(): Case[] {
  return [
    call('bearer', `POST ${pushed}/blobs/uploads/`, { note: 'with a token for pulls' }),
    call('bearer', 'GET /v2/acme/app/tags/list', { note: 'with a token for another' }),
    call('anonymous', `GET ${pushed}/tags/list`),
    call('anonymous', `GET ${pushed}/manifests/latest`),
    call('anonymous', 'GET /v2/alice/nowhere/tags/list'),
    call('anonymous', `GET ${pushed}/tags/list`, {
      headers: { authorization: 'Bearer wrong' },
      note: 'with a wrong token',
    }),
    call('password', `GET ${pushed}/tags/list`),
    authorize('password', 'repository:alice/nowhere:pull', 'for what is not there'),
    call('bearer', 'GET /v2/alice/nowhere/tags/list'),
    call('bearer', 'GET /v2/alice/nowhere/manifests/latest'),
  ]
}

/** The REST API of what was pushed: tags, manifests, labels. */
export const content: readonly Case[] = [...tags(), ...manifests()]

/** What ends images, at the end. */
export const endsOfImages: readonly Case[] = [
  authorize('password', 'repository:alice/pushed:*', 'for deleting'),
  call('bearer', `DELETE ${pushed}/manifests/${missing}`),
  call('bearer', `DELETE ${pushed}/manifests/${digestOf(index)}`),
  call('bearer', `DELETE ${pushed}/manifests/latest`),
  call('bearer', `DELETE ${pushed}/blobs/${digestOf(config)}`),
]

function tags(): Case[] {
  const tag = `${repository}/tag`
  const digest = digestOf(manifest)
  return [
    call('user', `GET ${repository}`),
    ...readers.map(as => call(as, `GET ${tag}/`)),
    call('user', `GET ${tag}/?specificTag=latest`),
    call('user', `GET ${tag}/?filter_tag_name=like:lat`),
    call('user', `GET ${tag}/?filter_tag_name=wrong`),
    call('user', `GET ${tag}/?onlyActiveTags=true&limit=1`),
    call('user', `GET ${tag}/?limit=1000`),
    call('user', 'GET /api/v1/repository/alice/nowhere/tag/'),
    call('user', `PUT ${tag}/third`, { body: { manifest_digest: digest } }),
    call('user', `PUT ${tag}/latest`, { body: { manifest_digest: digestOf(index) }, note: 'to another' }),
    call('user', `PUT ${tag}/fourth`, { body: { manifest_digest: missing }, note: 'to what is not there' }),
    call('user', `PUT ${tag}/fourth`, { body: { manifest_digest: 'wrong' }, note: 'to no digest' }),
    call('user', `PUT ${tag}/fourth`, { body: {}, note: 'to nothing' }),
    call('user', `PUT ${tag}/.wrong`, { body: { manifest_digest: digest } }),
    call('user', `PUT ${tag}/third`, { body: { expiration: 4102444800 }, note: 'an expiration' }),
    call('user', `PUT ${tag}/third`, { body: { immutable: true }, note: 'immutable' }),
    call('stranger', `PUT ${tag}/third`, { body: { manifest_digest: digest } }),
    call('anonymous', `PUT ${tag}/third`, { body: { manifest_digest: digest } }),
    call('user', `DELETE ${tag}/second`),
    call('user', `DELETE ${tag}/second`, { note: 'again' }),
    call('stranger', `DELETE ${tag}/latest`),
    call('user', `GET ${tag}/`, { note: 'with history' }),
    call('user', `POST ${tag}/second/restore`, { body: { manifest_digest: digest } }),
    call('user', `POST ${tag}/second/restore`, { body: { manifest_digest: missing }, note: 'what is not there' }),
    call('user', `POST ${tag}/second/restore`, { body: {}, note: 'nothing' }),
    call('stranger', `POST ${tag}/second/restore`, { body: { manifest_digest: digest } }),
  ]
}

function manifests(): Case[] {
  const one = `${repository}/manifest/${digestOf(manifest)}`
  const label = { key: 'stage', value: 'test', media_type: 'text/plain' }
  return [
    ...readers.map(as => call(as, `GET ${one}`)),
    call('user', `GET ${repository}/manifest/${digestOf(index)}`),
    call('user', `GET ${repository}/manifest/${missing}`),
    ...readers.map(as => call(as, `GET ${one}/labels`)),
    call('user', `GET ${one}/labels?filter=st`),
    call('user', `GET ${repository}/manifest/${missing}/labels`),
    call('user', `POST ${one}/labels`, { body: label, keep: { label: at('label', 'id') } }),
    call('user', `POST ${one}/labels`, {
      body: { ...label, value: '{}', media_type: 'application/json' },
      note: 'JSON',
    }),
    call('user', `POST ${one}/labels`, { body: { ...label, media_type: null }, note: 'of no type' }),
    call('user', `POST ${one}/labels`, { body: { ...label, media_type: 'image/png' }, note: 'of another type' }),
    call('user', `POST ${one}/labels`, { body: { ...label, key: 'io.quay.x' }, note: 'a reserved key' }),
    call('user', `POST ${one}/labels`, { body: { ...label, key: 'No Key' }, note: 'a wrong key' }),
    call('user', `POST ${one}/labels`, { body: { key: 'stage' }, note: 'without a value' }),
    call('user', `POST ${repository}/manifest/${missing}/labels`, { body: label }),
    call('stranger', `POST ${one}/labels`, { body: label }),
    call('anonymous', `POST ${one}/labels`, { body: label }),
    call('user', `GET ${one}/labels`, { note: 'with more' }),
    call('user', `GET ${one}/labels/{label}`),
    call('user', `GET ${one}/labels/wrong`),
    call('stranger', `DELETE ${one}/labels/{label}`),
    call('user', `DELETE ${one}/labels/{label}`),
    call('user', `DELETE ${one}/labels/{label}`, { note: 'again' }),
  ]
}
