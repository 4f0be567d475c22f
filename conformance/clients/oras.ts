import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { blobFile, digestOfFile } from './layouts.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

const artifactType = 'application/vnd.example.signature'

export const oras: Client = {
  name: 'oras',
  programs: ['oras'],
  root: false,
  version: () => versionOf('oras', ['version'], /Version:\s+(\S+)/),

  async steps(stage) {
    const { content } = stage
    const trust = (prefix = '') =>
      stage.ca === undefined ? [`--${prefix}plain-http`] : [`--${prefix}ca-file`, stage.ca]
    const oras = (...args: string[]) => stage.run('oras', args, { seconds: 300 })
    const image = stage.image()
    await writeFile(join(stage.folder, 'signature.txt'), 'signed\n')
    await writeFile(join(stage.folder, 'notes.txt'), `notes for ${image}\n`)

    const steps: Step[] = [
      [
        'pushes an artifact',
        async () => {
          const args = [
            'push',
            ...trust(),
            '--artifact-type',
            'application/vnd.example.notes',
            `${image}:notes`,
            'notes.txt',
          ]
          expectMatch((await oras(...args)).stdout, /Digest: sha256:/, 'push')
        },
      ],
      [
        'pulls it, same file',
        async () => {
          await oras('pull', ...trust(), '--output', 'pulled', `${image}:notes`)
          const [before, after] = ['notes.txt', 'pulled/notes.txt'].map(file => join(stage.folder, file))
          expectEqual(await digestOfFile(after ?? ''), await digestOfFile(before ?? ''), 'the file')
        },
      ],
      [
        'copies an index with its images from a layout',
        async () => {
          await oras('copy', '--from-oci-layout', `${content.multi.folder}:multi`, ...trust('to-'), `${image}:multi`)
          const found = await digestInRegistry(stage, stage.repository(), 'multi')
          expectEqual(found, content.multi.manifest.digest, 'digest in the registry')
          return 'index of two architectures'
        },
      ],
      [
        'attaches an artifact, and discovers it by the referrers API',
        async () => {
          await oras('attach', ...trust(), '--artifact-type', artifactType, `${image}:multi`, 'signature.txt')
          const api = ['--distribution-spec', 'v1.1-referrers-api', '--format', 'json']
          const { stdout } = await oras('discover', ...trust(), ...api, `${image}:multi`)
          expectMatch(stdout, new RegExp(artifactType), 'discover')
          return 'referrers'
        },
      ],
      [
        'discovers only the type asked for',
        async () => {
          await oras(
            'attach',
            ...trust(),
            '--artifact-type',
            'application/vnd.example.other',
            `${image}:multi`,
            'notes.txt',
          )
          const { stdout } = await oras('discover', ...trust(), '--artifact-type', artifactType, `${image}:multi`)
          expectMatch(stdout, new RegExp(`^(?!.*vnd.example.other)[^]*${artifactType}`), 'discover')
        },
      ],
      [
        'copies with all referrers to another repository, mounting blobs',
        async () => {
          const ways = [...trust('from-'), ...trust('to-')]
          const { stdout } = await oras(
            'copy',
            '--recursive',
            ...ways,
            `${image}:multi`,
            `${stage.image('copy')}:multi`,
          )
          expectMatch(stdout, /^Mounted /m, 'copy')
          const copied = await oras('discover', ...trust(), `${stage.image('copy')}:multi`)
          expectMatch(copied.stdout, new RegExp(artifactType), 'discover')
          return 'cross-repository mount'
        },
      ],
      [
        'lists tags',
        async () => {
          const { stdout } = await oras('repo', 'tags', ...trust(), image)
          for (const tag of ['notes', 'multi']) expectMatch(stdout, new RegExp(`^${tag}$`, 'm'), 'repo tags')
        },
      ],
      [
        'lists repositories',
        async () => {
          const { stdout } = await oras('repo', 'ls', ...trust(), stage.host)
          expectMatch(stdout, new RegExp(`^${stage.repository('copy')}$`, 'm'), 'repo ls')
        },
      ],
      [
        'pushes and deletes a blob',
        async () => {
          await writeFile(join(stage.folder, 'loose.txt'), 'no manifest names this blob\n')
          const blob = `${image}@${(await digestOfFile(join(stage.folder, 'loose.txt'))).digest}`
          await oras('blob', 'push', ...trust(), blob, 'loose.txt')
          await oras('blob', 'delete', ...trust(), '--force', blob)
          await isRefused(oras('blob', 'fetch', ...trust(), '--descriptor', blob), /not found/)
        },
      ],
      [
        'deletes a manifest',
        async () => {
          await oras('manifest', 'delete', ...trust(), '--force', `${image}:notes`)
          await isRefused(oras('pull', ...trust(), `${image}:notes`), /not found/)
          return 'delete'
        },
      ],
    ]
    const { big } = content
    if (stage.large && 'layout' in big) {
      steps.push([
        'pushes and fetches a blob of 1 GiB, same digest',
        async () => {
          const [layer] = big.layout.blobs
          if (layer === undefined) throw new Error('the image has no layer')
          await oras(
            'blob',
            'push',
            ...trust(),
            '--size',
            String(layer.size),
            `${image}@${layer.digest}`,
            blobFile(big.layout, layer),
          )
          await oras('blob', 'fetch', ...trust(), '--output', 'fetched', `${image}@${layer.digest}`)
          expectEqual((await digestOfFile(join(stage.folder, 'fetched'))).digest, layer.digest, 'the blob')
          return 'blob of 1 GiB there and back'
        },
      ])
    }
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(oras('repo', 'tags', image), untrusted),
      ])
    }
    return steps
  },
}
