import { gzipSync } from 'node:zlib'
import t from 'tap'
import {
  configType,
  type Content,
  contentOf,
  descriptorOf,
  image,
  imageType,
  indexType,
  jsonContent,
} from '../../helpers/images.ts'
import { startRegistry } from '../../helpers/registry.ts'
import { isRecord, pushImage, pushManifest } from './requests.ts'

/**
 * Artifacts of other tools, with the fields and types that these tools write: what they push has to come back as it
 * was, and what is attached to an image has to be found.
 */

const { url } = await startRegistry(t)

/** What signatures and the like are attached to. */
const subject = image()
const subjectTag = subject.manifest.digest.replace(':', '-')

type Annotations = Record<string, string>

interface Layer extends Content {
  annotations?: Annotations
}

interface Artifact {
  manifest: Content
  blobs: Content[]
  annotations: Annotations | undefined
}

function artifactOf(options: {
  config: Content
  /** What else the descriptor of the config has. */
  configFields?: { data: string }
  layers: Layer[]
  /** Fields of the manifest beside config and layers. */
  fields?: { mediaType?: string; artifactType?: string; subject?: object; annotations?: Annotations }
}): Artifact {
  const { config, configFields, layers, fields } = options
  const body = {
    schemaVersion: 2,
    ...fields,
    config: { ...descriptorOf(config), ...configFields },
    layers: layers.map(({ annotations, ...layer }) =>
      descriptorOf(layer, annotations === undefined ? {} : { annotations }),
    ),
  }
  return { manifest: jsonContent(body, imageType), blobs: [config, ...layers], annotations: fields?.annotations }
}

const tarball = (name: string) => gzipSync(Buffer.from(name.padEnd(1024, '\0')))
const attached = { mediaType: imageType, subject: descriptorOf(subject.manifest) }
const empty = contentOf('{}', 'application/vnd.oci.empty.v1+json')

/** A DSSE envelope around a statement of in-toto, as attestations are. */
function envelope(predicateType: string): string {
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'app', digest: { sha256: subject.manifest.digest.slice('sha256:'.length) } }],
    predicateType,
    predicate: {},
  }
  const payload = Buffer.from(JSON.stringify(statement)).toString('base64')
  return JSON.stringify({
    payloadType: 'application/vnd.in-toto+json',
    payload,
    signatures: [{ keyid: '', sig: 'MEUC' }],
  })
}

/** Cosign writes an image configuration around its layers. */
const cosignConfig = jsonContent(
  {
    architecture: '',
    created: '0001-01-01T00:00:00Z',
    history: [{ created: '0001-01-01T00:00:00Z' }],
    os: '',
    rootfs: { type: 'layers', diff_ids: [subject.manifest.digest] },
    config: {},
  },
  configType,
)

function cosignSignature(): Layer {
  const payload = {
    critical: {
      identity: { 'docker-reference': 'registry.example/app' },
      image: { 'docker-manifest-digest': subject.manifest.digest },
      type: 'cosign container image signature',
    },
    optional: null,
  }
  const annotations = {
    'dev.cosignproject.cosign/signature': 'MEUCIQDx',
    'dev.sigstore.cosign/bundle': '{"Payload":{}}',
  }
  return { ...jsonContent(payload, 'application/vnd.dev.cosign.simplesigning.v1+json'), annotations }
}

const chart = jsonContent(
  { name: 'app', version: '1.2.3+4', apiVersion: 'v2', type: 'application' },
  'application/vnd.cncf.helm.config.v1+json',
)
const chartAnnotations = {
  'org.opencontainers.image.title': 'app',
  'org.opencontainers.image.version': '1.2.3+4',
  'org.opencontainers.image.created': '2026-11-21T12:00:00Z',
}

interface Kind extends Artifact {
  /** The tag that it is pushed under; its digest when left out. */
  tag?: string
  /** The artifact type under which it is found among the referrers of the subject. */
  foundAs?: string
}

const kinds: Record<string, Kind> = {
  'a chart of Helm, with its provenance': {
    tag: '1.2.3_4', // Helm writes _ for the + of a version.
    ...artifactOf({
      config: chart,
      layers: [
        contentOf(tarball('app/Chart.yaml'), 'application/vnd.cncf.helm.chart.content.v1.tar+gzip'),
        contentOf('-----BEGIN PGP SIGNED MESSAGE-----\n', 'application/vnd.cncf.helm.chart.provenance.v1.prov'),
      ],
      fields: { annotations: chartAnnotations },
    }),
  },
  'a chart of Helm before 3.7': {
    tag: '1.2.3-old',
    ...artifactOf({ config: chart, layers: [contentOf(tarball('app/Chart.yaml old'), 'application/tar+gzip')] }),
  },
  'a signature of cosign, by its tag': {
    tag: `${subjectTag}.sig`,
    ...artifactOf({ config: cosignConfig, layers: [cosignSignature()], fields: { mediaType: imageType } }),
  },
  'a signature of cosign, as a referrer': {
    foundAs: 'application/vnd.dev.cosign.artifact.sig.v1+json',
    ...artifactOf({
      config: { ...cosignConfig, mediaType: 'application/vnd.dev.cosign.artifact.sig.v1+json' },
      layers: [cosignSignature()],
      fields: attached,
    }),
  },
  'a bundle of sigstore, as a referrer': {
    foundAs: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    ...artifactOf({
      config: empty,
      layers: [jsonContent({ dsseEnvelope: {} }, 'application/vnd.dev.sigstore.bundle.v0.3+json')],
      fields: {
        ...attached,
        artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
        annotations: {
          'dev.sigstore.bundle.content': 'dsse-envelope',
          'dev.sigstore.bundle.predicateType': 'https://sigstore.dev/cosign/sign/v1',
          'org.opencontainers.image.created': '2026-11-21T12:00:00Z',
        },
      },
    }),
  },
  'an attestation of cosign, by its tag': {
    tag: `${subjectTag}.att`,
    ...artifactOf({
      config: cosignConfig,
      layers: [
        {
          ...contentOf(envelope('https://slsa.dev/provenance/v1'), 'application/vnd.dsse.envelope.v1+json'),
          annotations: { 'dev.cosignproject.cosign/signature': '', predicateType: 'https://slsa.dev/provenance/v1' },
        },
      ],
      fields: { mediaType: imageType },
    }),
  },
  'a bill of materials attached by cosign, by its tag': {
    tag: `${subjectTag}.sbom`,
    ...artifactOf({
      config: cosignConfig,
      layers: [jsonContent({ spdxVersion: 'SPDX-2.3' }, 'text/spdx+json')],
      fields: { mediaType: imageType },
    }),
  },
  'a bill of materials attached by oras': {
    foundAs: 'application/spdx+json',
    ...artifactOf({
      config: empty,
      configFields: { data: 'e30=' },
      layers: [
        {
          ...jsonContent({ spdxVersion: 'SPDX-2.3', name: 'app' }, 'application/spdx+json'),
          annotations: { 'org.opencontainers.image.title': 'sbom.spdx.json' },
        },
      ],
      fields: {
        ...attached,
        artifactType: 'application/spdx+json',
        annotations: { 'org.opencontainers.image.created': '2026-11-21T12:00:00Z' },
      },
    }),
  },
  'a signature of notation': {
    foundAs: 'application/vnd.cncf.notary.signature',
    ...artifactOf({
      config: contentOf('{}', 'application/vnd.cncf.notary.signature'),
      layers: [jsonContent({ payload: 'e30', protected: 'e30', signature: 'x' }, 'application/jose+json')],
      fields: { ...attached, annotations: { 'io.cncf.notary.x509chain.thumbprint#S256': '["ab"]' } },
    }),
  },
  'a WebAssembly component': {
    tag: 'wasm',
    ...artifactOf({
      config: jsonContent(
        {
          created: '2026-11-21T12:00:00Z',
          architecture: 'wasm',
          os: 'wasip2',
          layerDigests: [],
          component: { exports: [], imports: [] },
        },
        'application/vnd.wasm.config.v0+json',
      ),
      layers: [contentOf(Buffer.from('0061736d0d000100', 'hex'), 'application/wasm')],
      fields: { mediaType: imageType },
    }),
  },
  'a WebAssembly module of wasm-to-oci': {
    tag: 'wasm-to-oci',
    ...artifactOf({
      config: contentOf('{}', 'application/vnd.wasm.config.v1+json'),
      layers: [
        {
          ...contentOf(Buffer.from('0061736d01000000', 'hex'), 'application/vnd.wasm.content.layer.v1+wasm'),
          annotations: { 'org.opencontainers.image.title': 'module.wasm' },
        },
      ],
    }),
  },
  'an image of singularity, whose config has no bytes': {
    tag: 'sif',
    ...artifactOf({
      config: contentOf('', 'application/vnd.sylabs.sif.config.v1+json'),
      layers: [
        {
          ...contentOf('#!/usr/bin/env run-singularity\nSIF_MAGIC', 'application/vnd.sylabs.sif.layer.v1.sif'),
          annotations: { 'org.opencontainers.image.title': 'alpine_latest.sif' },
        },
      ],
    }),
  },
  'sources of flux': {
    tag: 'flux',
    ...artifactOf({
      config: jsonContent({}, 'application/vnd.cncf.flux.config.v1+json'),
      layers: [contentOf(tarball('deploy.yaml'), 'application/vnd.cncf.flux.content.v1.tar+gzip')],
      fields: { mediaType: imageType, annotations: { 'org.opencontainers.image.revision': 'main@sha1:0' } },
    }),
  },
}

/** As clients push blobs: a look whether it is there, then an upload in two requests. */
async function pushInTwo(repository: string, { digest, bytes }: Content): Promise<void> {
  const head = await fetch(`${url}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })
  if (head.status === 200) return
  const begun = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const location = new URL(begun.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  const put = await fetch(location, { method: 'PUT', body: new Uint8Array(bytes) })
  if (put.status !== 201) throw new Error(`${put.status}: ${await put.text()}`)
}

await pushImage(url, 'app', subject, 'v1')

for (const [name, { tag, foundAs, manifest, blobs, annotations }] of Object.entries(kinds)) {
  t.test(`[75] ${name} comes back as it was pushed`, async t => {
    for (const blob of blobs) await pushInTwo('app', blob)
    const push = await pushManifest(url, 'app', tag ?? manifest.digest, manifest)
    t.equal(push.headers.get('docker-content-digest'), manifest.digest)
    t.equal(push.headers.get('oci-subject'), foundAs === undefined ? null : subject.manifest.digest)

    for (const reference of [tag ?? manifest.digest, manifest.digest]) {
      const pulled = await fetch(`${url}/v2/app/manifests/${reference}`, { headers: { accept: manifest.mediaType } })
      t.equal(pulled.headers.get('content-type'), manifest.mediaType)
      t.equal(await pulled.text(), manifest.bytes.toString())
    }
    for (const { digest, bytes } of blobs) {
      const pulled = await fetch(`${url}/v2/app/blobs/${digest}`)
      t.equal(pulled.status, 200)
      t.ok(Buffer.from(await pulled.arrayBuffer()).equals(bytes), 'the same bytes')
    }
    if (foundAs === undefined) return
    const query = `artifactType=${encodeURIComponent(foundAs)}`
    const found = await fetch(`${url}/v2/app/referrers/${subject.manifest.digest}?${query}`)
    const body: unknown = await found.json()
    const expected = { ...descriptorOf(manifest), artifactType: foundAs, ...(annotations && { annotations }) }
    t.same(isRecord(body) ? body['manifests'] : undefined, [expected])
  })
}

t.test(
  '[78] an index of BuildKit, whose attestations of in-toto stand beside the images they speak of, is taken',
  async t => {
    const [amd, arm] = [image(), image({ architecture: 'arm64' })]
    for (const one of [amd, arm]) await pushImage(url, 'built', one)
    const attestations = [amd, arm].map(({ manifest }) => {
      const predicateType = 'https://slsa.dev/provenance/v0.2'
      const layer = {
        ...contentOf(envelope(predicateType), 'application/vnd.in-toto+json'),
        annotations: { 'in-toto.io/predicate-type': predicateType },
      }
      const config = jsonContent(
        { architecture: 'unknown', os: 'unknown', config: {}, rootfs: { type: 'layers', diff_ids: [layer.digest] } },
        configType,
      )
      const fields = { mediaType: imageType, annotations: { of: manifest.digest } }
      return { of: manifest, ...artifactOf({ config, layers: [layer], fields }) }
    })
    for (const attestation of attestations) await pushImage(url, 'built', attestation)
    const list = jsonContent(
      {
        schemaVersion: 2,
        mediaType: indexType,
        manifests: [
          descriptorOf(amd.manifest, { platform: { architecture: 'amd64', os: 'linux' } }),
          descriptorOf(arm.manifest, { platform: { architecture: 'arm64', os: 'linux' } }),
          ...attestations.map(({ manifest, of }) =>
            descriptorOf(manifest, {
              annotations: {
                'vnd.docker.reference.digest': of.digest,
                'vnd.docker.reference.type': 'attestation-manifest',
              },
              platform: { architecture: 'unknown', os: 'unknown' },
            }),
          ),
        ],
      },
      indexType,
    )
    await pushManifest(url, 'built', 'latest', list)
    const pulled = await fetch(`${url}/v2/built/manifests/latest`)
    t.equal(pulled.headers.get('content-type'), indexType)
    t.equal(await pulled.text(), list.bytes.toString())
  },
)

t.test(
  '[104] what cosign does where it knows of no referrers: an index under the fallback tag, grown one by one',
  async t => {
    const one = image()
    await pushImage(url, 'grown', one)
    const tag = one.manifest.digest.replace(':', '-')
    const entries: object[] = []
    for (let at = 0; at < 3; at++) {
      const signature = artifactOf({
        config: empty,
        layers: [jsonContent({ at }, 'application/vnd.dev.sigstore.bundle.v0.3+json')],
        fields: { mediaType: imageType, artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json' },
      })
      await pushImage(url, 'grown', signature)
      entries.push(descriptorOf(signature.manifest, { artifactType: 'application/vnd.dev.sigstore.bundle.v0.3+json' }))
      await pushManifest(
        url,
        'grown',
        tag,
        jsonContent({ schemaVersion: 2, mediaType: indexType, manifests: entries }, indexType),
      )
      const found: unknown = await (await fetch(`${url}/v2/grown/referrers/${one.manifest.digest}`)).json()
      t.equal(isRecord(found) && Array.isArray(found['manifests']) ? found['manifests'].length : 0, at + 1)
    }
  },
)
