import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { prepareContainers } from './containers.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

export const podman: Client = {
  name: 'podman',
  programs: ['podman'],
  root: true,
  version: () => versionOf('podman', ['--version'], /version (\S+)/),

  async steps(stage) {
    const { content } = stage
    const { run, trust } = await prepareContainers(stage)
    const podman = (...args: string[]) => run('podman', args, { seconds: 300 })
    const image = stage.image()
    const inspect = async (name: string, format: string) =>
      (await podman('image', 'inspect', '--format', format, name)).stdout.trim()
    const forget = () => podman('rmi', '--all', '--force')

    const steps: Step[] = [
      [
        'pushes an image, pulls it again, same image',
        async () => {
          await podman('import', '--quiet', content.smallLayer.file, `${image}:1`)
          const before = await inspect(`${image}:1`, '{{.Id}} {{.RootFS.Layers}}')
          await podman('push', '--quiet', ...trust, '--digestfile', join(stage.folder, 'digest'), `${image}:1`)
          await forget()
          await podman('pull', '--quiet', ...trust, `${image}:1`)
          expectEqual(await inspect(`${image}:1`, '{{.Id}} {{.RootFS.Layers}}'), before, 'id and layers')
        },
      ],
      [
        'pulls by digest',
        async () => {
          const digest = await readFile(join(stage.folder, 'digest'), 'utf8')
          expectEqual(await digestInRegistry(stage, stage.repository(), '1'), digest, 'digest in the registry')
          await podman('pull', '--quiet', ...trust, `${image}@${digest}`)
        },
      ],
      [
        'pushes to another repository, mounting the layer',
        async () => {
          const pushing = ['--log-level', 'debug', 'push', ...trust, `${image}:1`, `docker://${stage.image('other')}:1`]
          expectMatch((await podman(...pushing)).output, /\.\.\. mount OK/, 'podman')
          return 'cross-repository mount'
        },
      ],
      [
        'pushes in the formats of OCI and of Docker',
        async () => {
          for (const format of ['oci', 'v2s2']) {
            await podman('push', '--quiet', ...trust, '--format', format, `${image}:1`, `docker://${image}:${format}`)
          }
        },
      ],
      [
        'pushes four tags at once',
        async () => {
          const tags = ['p1', 'p2', 'p3', 'p4']
          await Promise.all(
            tags.map(tag => podman('push', '--quiet', ...trust, `${image}:1`, `docker://${image}:${tag}`)),
          )
        },
      ],
      [
        'lists tags',
        async () => {
          // This command has no --cert-dir.
          const search = ['search', ...(stage.ca === undefined ? trust : []), '--list-tags', image]
          const { stdout } = await run('podman', search, { env: { SSL_CERT_FILE: stage.ca } })
          for (const tag of ['1', 'oci', 'p4']) expectMatch(stdout, new RegExp(`\\s${tag}$`, 'm'), 'search')
        },
      ],
      [
        'pushes an index with its images, pulls the other architecture',
        async () => {
          const list = `${image}:multi`
          await podman('manifest', 'create', list)
          await podman('manifest', 'add', '--all', list, `oci:${content.multi.folder}:multi`)
          await podman('manifest', 'push', '--all', '--format', 'oci', ...trust, list, `docker://${list}`)
          await podman('manifest', 'rm', list)
          await podman('pull', '--quiet', ...trust, '--arch', 'arm64', list)
          expectEqual(await inspect(list, '{{.Architecture}}'), 'arm64', 'architecture')
          return 'index of two architectures'
        },
      ],
      [
        'is refused a tag that is not there',
        () => isRefused(podman('pull', '--quiet', ...trust, `${image}:none`), /manifest unknown/),
      ],
    ]
    const { debian } = content
    if (stage.large && 'layer' in debian) {
      steps.push([
        'pushes Debian, pulls it again, same layers',
        async () => {
          await podman('import', '--quiet', debian.layer.file, `${image}:debian`)
          await podman('push', '--quiet', ...trust, `${image}:debian`)
          await forget()
          await podman('pull', '--quiet', ...trust, `${image}:debian`)
          const layers = JSON.stringify([debian.layer.diffId])
          expectEqual(await inspect(`${image}:debian`, '{{json .RootFS.Layers}}'), layers, 'layers')
          return 'Debian'
        },
      ])
    }
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(podman('pull', '--quiet', `${image}:1`), untrusted),
      ])
    }
    return steps
  },
}
