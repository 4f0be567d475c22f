import { join } from 'node:path'
import { digestOfFile, hexOf, type Layout } from './layouts.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

export const crane: Client = {
  name: 'crane',
  programs: ['crane'],
  root: false,
  version: () => versionOf('crane', ['version'], /(v?\d\S+)/),

  steps(stage) {
    const { content } = stage
    const insecure = stage.ca === undefined ? ['--insecure'] : []
    const crane = (...args: string[]) =>
      stage.run('crane', [...insecure, ...args], { env: { SSL_CERT_FILE: stage.ca }, seconds: 300 })
    const image = stage.image()
    const push = async ({ folder, tag, manifest }: Layout, ...options: string[]) => {
      const { stdout } = await crane('push', ...options, folder, `${image}:${tag}`)
      expectMatch(stdout, new RegExp(options.includes('--index') ? '@sha256:' : `@${manifest.digest}`), 'push')
    }
    const pullsTheSame = async ({ tag, blobs }: Layout) => {
      const folder = join(stage.folder, `pulled-${tag}`)
      await crane('pull', '--format', 'oci', `${image}:${tag}`, folder)
      for (const blob of blobs) {
        const { digest } = await digestOfFile(join(folder, 'blobs/sha256', hexOf(blob)))
        expectEqual(digest, blob.digest, 'a blob')
      }
    }

    const steps: Step[] = [
      ['pushes an image', () => push(content.small)],
      ['pulls the image, same bytes', () => pullsTheSame(content.small)],
      [
        'pushes an index with its images',
        async () => {
          await push(content.multi, '--index')
          return 'index of two architectures'
        },
      ],
      [
        'validates what is in the registry',
        async () => expectMatch((await crane('validate', '--remote', `${image}:small`)).output, /PASS/, 'validate'),
      ],
      [
        'tells digest and manifest',
        async () => {
          const { digest } = content.small.manifest
          expectEqual((await crane('digest', `${image}:small`)).stdout.trim(), digest, 'digest')
          const [layer] = content.small.blobs
          expectMatch(
            (await crane('manifest', `${image}@${digest}`)).stdout,
            new RegExp(layer?.digest ?? ''),
            'manifest',
          )
        },
      ],
      [
        'lists tags and repositories',
        async () => {
          expectMatch((await crane('ls', image)).stdout, /^small$/m, 'ls')
          expectMatch(
            (await crane('catalog', stage.host)).stdout,
            new RegExp(`^${stage.repository()}$`, 'm'),
            'catalog',
          )
        },
      ],
      [
        'copies to another repository, mounting blobs',
        async () => {
          const { output } = await crane('copy', `${image}:small`, `${stage.image('copy')}:small`)
          expectMatch(output, /mounted blob: sha256:/, 'copy')
          return 'cross-repository mount'
        },
      ],
      [
        'tags a manifest again',
        async () => {
          await crane('tag', `${image}:small`, 'again')
          expectEqual(
            await digestInRegistry(stage, stage.repository(), 'again'),
            content.small.manifest.digest,
            'digest',
          )
        },
      ],
      [
        'deletes a manifest',
        async () => {
          const deleted = stage.image('deleted')
          await crane('push', content.arm.folder, `${deleted}:arm`)
          await crane('delete', `${deleted}@${content.arm.manifest.digest}`)
          await isRefused(crane('manifest', `${deleted}:arm`), /MANIFEST_UNKNOWN/)
          return 'delete'
        },
      ],
    ]
    const { big, debian } = content
    if (stage.large && 'layout' in big) {
      steps.push([
        'pushes and pulls a layer of 1 GiB, same digest',
        async () => {
          await push(big.layout)
          await pullsTheSame(big.layout)
          return 'layer of 1 GiB there and back'
        },
      ])
    }
    if (stage.large && 'layout' in debian) {
      steps.push([
        'pushes and pulls Debian, same bytes',
        async () => {
          await push(debian.layout)
          await pullsTheSame(debian.layout)
          return 'Debian'
        },
      ])
    }
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(stage.run('crane', ['ls', image], { env: { SSL_CERT_FILE: undefined } }), untrusted),
      ])
    }
    return steps
  },
}
