import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { prepareContainers } from './containers.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

export const buildah: Client = {
  name: 'buildah',
  programs: ['buildah'],
  root: true,
  version: () => versionOf('buildah', ['--version'], /version (\S+)/),

  async steps(stage) {
    const { content } = stage
    const { run, trust } = await prepareContainers(stage)
    const buildah = async (...args: string[]) => (await run('buildah', args, { seconds: 300 })).stdout.trim()
    const image = stage.image()
    const commit = async (tag: string, architecture: string, format: string) => {
      const container = await buildah('from', 'scratch')
      await buildah('add', '--quiet', container, content.smallLayer.file, '/')
      await buildah('config', '--arch', architecture, '--label', `tag=${tag}`, container)
      await buildah('commit', '--quiet', '--rm', '--format', format, container, `${image}:${tag}`)
    }
    const push = (tag: string, ...options: string[]) =>
      run('buildah', [...options, 'push', ...trust, `${image}:${tag}`, `docker://${image}:${tag}`])
    const idOf = (tag: string) => buildah('images', '--quiet', '--no-trunc', `${image}:${tag}`)

    const steps: Step[] = [
      [
        'builds and pushes images in the formats of OCI and of Docker',
        async () => {
          await commit('oci', 'amd64', 'oci')
          await commit('docker', 'arm64', 'docker')
          for (const tag of ['oci', 'docker']) await push(tag)
        },
      ],
      ['pushes again, when every blob is there', () => push('oci')],
      [
        'pulls, same image',
        async () => {
          const before = await idOf('oci')
          await buildah('rmi', '--force', `${image}:oci`)
          await buildah('pull', '--quiet', ...trust, `${image}:oci`)
          expectEqual(await idOf('oci'), before, 'id')
        },
      ],
      [
        'pushes to another repository, mounting the layer',
        async () => {
          const target = `docker://${stage.image('other')}:1`
          const { output } = await run('buildah', ['--log-level', 'debug', 'push', ...trust, `${image}:oci`, target])
          expectMatch(output, /\.\.\. mount OK/, 'buildah')
          return 'cross-repository mount'
        },
      ],
      [
        'pushes an index with its images',
        async () => {
          await buildah('manifest', 'create', `${image}:multi`)
          for (const tag of ['oci', 'docker']) {
            await buildah('manifest', 'add', ...trust, `${image}:multi`, `docker://${image}:${tag}`)
          }
          await buildah('manifest', 'push', '--all', ...trust, `${image}:multi`, `docker://${image}:multi`)
          const index = await stage.ask('GET', `/v2/${stage.repository()}/manifests/multi`)
          expectMatch(index.body.toString(), /"architecture":\s*"arm64"/, 'the index in the registry')
          return 'index of two architectures'
        },
      ],
      [
        'builds from the image in the registry, and pushes',
        async () => {
          await buildah('rmi', '--force', `${image}:oci`)
          await writeFile(join(stage.folder, 'Containerfile'), `FROM ${image}:oci\nCOPY Containerfile /\n`)
          await buildah('bud', ...trust, '--quiet', '--tag', `${image}:built`, stage.folder)
          await push('built')
        },
      ],
      [
        'is refused a tag that is not there',
        () => isRefused(run('buildah', ['pull', '--quiet', ...trust, `${image}:none`]), /manifest unknown/),
      ],
    ]
    const { debian } = content
    if (stage.large && 'layout' in debian) {
      const { folder, tag, manifest } = debian.layout
      steps.push([
        'pushes Debian, pulls it and runs it',
        async () => {
          const id = await buildah('pull', '--quiet', `oci:${folder}:${tag}`)
          await buildah('push', '--format', 'oci', ...trust, id, `docker://${image}:debian`)
          await buildah('rmi', '--all', '--force')
          const container = await buildah('from', '--quiet', ...trust, `docker://${image}:debian`)
          expectMatch(await buildah('run', container, '--', 'cat', '/etc/os-release'), /^ID=debian$/m, 'run')
          const digest = await digestInRegistry(stage, stage.repository(), 'debian')
          return digest === manifest.digest ? 'Debian, same manifest' : 'Debian'
        },
      ])
    }
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(run('buildah', ['pull', '--quiet', `${image}:none`]), untrusted),
      ])
    }
    return steps
  },
}
