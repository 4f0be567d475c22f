import { join } from 'node:path'
import { prepareContainers } from './containers.ts'
import { digestOfFile, hexOf, type Layout } from './layouts.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

export const skopeo: Client = {
  name: 'skopeo',
  programs: ['skopeo'],
  root: false,
  version: () => versionOf('skopeo', ['--version'], /version (\S+)/),

  async steps(stage) {
    const { content } = stage
    const { run, trust, from, to } = await prepareContainers(stage)
    const copy = (...args: string[]) => run('skopeo', ['copy', ...args], { seconds: 300 })
    const push = async ({ folder, tag, manifest }: Layout, ...options: string[]) => {
      await copy(...options, ...to, `oci:${folder}:${tag}`, `docker://${stage.image()}:${tag}`)
      const found = await digestInRegistry(stage, stage.repository(), tag)
      expectEqual(found, manifest.digest, 'digest in the registry')
    }
    /** Pulls to a folder and compares the manifest and every blob, byte by byte through their digests. */
    const pullsTheSame = async ({ tag, manifest, blobs }: Layout) => {
      const folder = join(stage.folder, `pulled-${tag}`)
      await copy('--preserve-digests', ...from, `docker://${stage.image()}:${tag}`, `dir:${folder}`)
      expectEqual((await digestOfFile(join(folder, 'manifest.json'))).digest, manifest.digest, 'the manifest')
      for (const blob of blobs)
        expectEqual((await digestOfFile(join(folder, hexOf(blob)))).digest, blob.digest, 'a blob')
    }

    const steps: Step[] = [
      ['pushes an image', () => push(content.small)],
      ['pulls the image, same bytes', () => pullsTheSame(content.small)],
      [
        'pushes an index with all its images',
        async () => {
          await push(content.multi, '--all')
          return 'index of two architectures'
        },
      ],
      [
        'inspects one architecture of the index',
        async () => {
          const args = ['--override-arch', 'arm64', 'inspect', ...trust, `docker://${stage.image()}:multi`]
          expectMatch((await run('skopeo', args)).stdout, /"Architecture": "arm64"/, 'inspect')
        },
      ],
      [
        'inspects an image without pulling it',
        async () => {
          const { stdout } = await run('skopeo', ['inspect', ...trust, `docker://${stage.image()}:small`])
          expectMatch(stdout, new RegExp(content.small.manifest.digest), 'inspect')
        },
      ],
      [
        'lists tags',
        async () => {
          const { stdout } = await run('skopeo', ['list-tags', ...trust, `docker://${stage.image()}`])
          for (const tag of ['small', 'multi']) expectMatch(stdout, new RegExp(`"${tag}"`), 'list-tags')
        },
      ],
      [
        'copies to another repository, mounting the layer',
        async () => {
          const [source, target] = [`docker://${stage.image()}:small`, `docker://${stage.image('copy')}:small`]
          const { output } = await run('skopeo', ['--debug', 'copy', ...from, ...to, source, target])
          expectMatch(output, /\.\.\. mount OK/, 'skopeo')
          return 'cross-repository mount'
        },
      ],
      [
        'copies an index to another repository',
        async () => {
          await copy(
            '--all',
            ...from,
            ...to,
            `docker://${stage.image()}:multi`,
            `docker://${stage.image('copy')}:multi`,
          )
          const found = await digestInRegistry(stage, stage.repository('copy'), 'multi')
          expectEqual(found, content.multi.manifest.digest, 'digest of the copy')
        },
      ],
      [
        'deletes a manifest',
        async () => {
          const image = `docker://${stage.image('deleted')}:arm`
          await copy(...to, `oci:${content.arm.folder}:arm`, image)
          await run('skopeo', ['delete', ...trust, image])
          await isRefused(run('skopeo', ['inspect', ...trust, image]), /manifest unknown/)
          expectEqual(await digestInRegistry(stage, stage.repository('deleted'), 'arm'), undefined, 'the deleted tag')
          return 'delete'
        },
      ],
    ]
    const { big, debian } = content
    if (stage.large && 'layout' in big) {
      steps.push(
        ['pushes a layer of 1 GiB', () => push(big.layout)],
        [
          'pulls the layer of 1 GiB, same digest',
          async () => {
            await pullsTheSame(big.layout)
            return 'layer of 1 GiB there and back'
          },
        ],
      )
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
        () => isRefused(run('skopeo', ['list-tags', `docker://${stage.image()}`]), untrusted),
      ])
    }
    return steps
  },
}
