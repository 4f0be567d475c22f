import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { untilReady } from '../process.ts'
import type { Layout } from './layouts.ts'
import { type Client, expectMatch, isRefused, type Stage, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

export const ctr: Client = {
  name: 'ctr',
  programs: ['containerd', 'ctr', 'unshare'],
  root: true,
  version: () => versionOf('ctr', ['--version'], /containerd (\S+)/),

  async steps(stage) {
    const { content } = stage
    const socket = join(stage.folder, 'c.sock')
    const ctr = (...args: string[]) => stage.run('ctr', ['--address', socket, ...args], { seconds: 300 })
    await startDaemon(stage, socket, async () => (await ctr('version')).code === 0)
    const hosts = ['--hosts-dir', await writeHosts(stage)]

    const image = stage.image()
    const importLayout = async ({ folder, tag }: Layout, name: string) => {
      const archive = join(stage.folder, `${tag}.tar`)
      await stage.run('tar', ['-C', folder, '-cf', archive, '.'])
      await ctr('images', 'import', '--all-platforms', '--no-unpack', '--base-name', name, archive)
    }
    const push = (tag: string, ...options: string[]) => ctr('images', 'push', ...hosts, ...options, `${image}:${tag}`)
    const pull = (reference: string, ...options: string[]) =>
      ctr('images', 'pull', '--snapshotter', 'native', ...hosts, ...options, reference)
    const forget = (name: string) => ctr('images', 'rm', '--sync', name)
    const namesImage = async (name: string, digest: string) =>
      expectMatch((await ctr('images', 'ls')).stdout, new RegExp(`^${name}\\s+\\S+\\s+${digest}`, 'm'), 'images ls')

    const steps: Step[] = [
      [
        'pushes an image',
        async () => {
          await importLayout(content.small, image)
          await push('small')
        },
      ],
      ['pushes again, when every blob is there', () => push('small')],
      [
        'pulls, same digest',
        async () => {
          await forget(`${image}:small`)
          await pull(`${image}:small`)
          await namesImage(`${image}:small`, content.small.manifest.digest)
        },
      ],
      [
        'pulls by digest',
        async () => {
          await forget(`${image}:small`)
          await pull(`${image}@${content.small.manifest.digest}`)
        },
      ],
      [
        'pushes an index with its images, pulls all architectures',
        async () => {
          await importLayout(content.multi, image)
          await push('multi')
          await forget(`${image}:multi`)
          await ctr('content', 'fetch', '--all-platforms', ...hosts, `${image}:multi`)
          await namesImage(`${image}:multi`, content.multi.manifest.digest)
          return 'index of two architectures'
        },
      ],
      [
        'pushes the same image to another repository',
        async () => {
          await ctr('images', 'tag', `${image}:multi`, `${stage.image('other')}:1`)
          await ctr('images', 'push', ...hosts, `${stage.image('other')}:1`)
        },
      ],
      ['is refused a tag that is not there', () => isRefused(pull(`${image}:none`), /not found/)],
    ]
    const { debian } = content
    if (stage.large && 'layout' in debian) {
      steps.push([
        'pushes Debian, pulls it and unpacks it',
        async () => {
          await importLayout(debian.layout, image)
          await push('debian')
          await forget(`${image}:debian`)
          await pull(`${image}:debian`)
          return 'Debian'
        },
      ])
    }
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        async () => {
          const empty = await writeHosts({ ...stage, ca: '' })
          await isRefused(ctr('images', 'pull', '--hosts-dir', empty, `${image}:small`), untrusted)
        },
      ])
    }
    return steps
  },
}

async function startDaemon({ folder, start }: Stage, socket: string, answers: () => Promise<boolean>): Promise<void> {
  const configuration = join(folder, 'containerd.toml')
  await writeFile(
    configuration,
    `version = 2
root = "${join(folder, 'root')}"
state = "${join(folder, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${socket}"
`,
  )
  const daemon = await start('unshare', ['--mount', '--propagation', 'private', 'containerd', '-c', configuration])
  await untilReady(answers, { process: daemon, what: 'containerd' })
}

/**
 * How to reach the registry; an empty `ca` trusts only what the system trusts. Returns the folder of such files. What
 * is said of the host is said of the server too, which containerd asks when the host has not what it wants.
 */
async function writeHosts({ folder, host, ca }: Pick<Stage, 'folder' | 'host' | 'ca'>): Promise<string> {
  const hosts = join(folder, ca === '' ? 'hosts-without-ca' : 'hosts')
  const server = `${ca === undefined ? 'http' : 'https'}://${host}`
  await mkdir(join(hosts, host), { recursive: true })
  const trust = ca === undefined || ca === '' ? '' : `ca = "${ca}"\n`
  await writeFile(
    join(hosts, host, 'hosts.toml'),
    `server = "${server}"\n${trust}[host."${server}"]\ncapabilities = ["pull", "resolve", "push"]\n${trust}`,
  )
  return hosts
}
