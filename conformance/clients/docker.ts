import { mkdir, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { untilReady } from '../process.ts'
import {
  type Client,
  digestInRegistry,
  expectEqual,
  expectMatch,
  isRefused,
  type Stage,
  type Step,
  untrusted,
} from './steps.ts'
import { versionOf } from './versions.ts'

export const docker: Client = {
  name: 'docker',
  programs: ['dockerd', 'docker', 'containerd', 'runc', 'unshare'],
  root: true,
  version: () => versionOf('dockerd', ['--version'], /version ([^\s,]+)/),

  async steps(stage) {
    const { content } = stage
    // The manifest commands speak to the registry from the client itself, the rest from the daemon.
    const trust = { DOCKER_BUILDKIT: '0', SSL_CERT_FILE: stage.ca }
    const socket = `unix://${join(stage.folder, 'docker.sock')}`
    const docker = (args: readonly string[], env: Record<string, string | undefined> = trust) =>
      stage.run('docker', ['-H', socket, ...args], { env, seconds: 300 })
    await startDaemon(stage, socket, async () => (await docker(['version'])).code === 0)

    const image = stage.image()
    const layersOf = async (name: string) =>
      (await docker(['image', 'inspect', '--format', '{{json .RootFS.Layers}}', name])).stdout.trim()
    const forget = () => docker(['image', 'prune', '--all', '--force'])

    const steps: Step[] = [
      [
        'pushes an image, pulls it again, same layers',
        async () => {
          await docker(['import', content.smallLayer.file, `${image}:1`])
          expectMatch((await docker(['push', `${image}:1`])).output, /digest: sha256:/, 'push')
          await forget()
          await docker(['pull', '--quiet', `${image}:1`])
          expectEqual(await layersOf(`${image}:1`), JSON.stringify([content.smallLayer.diffId]), 'layers')
        },
      ],
      [
        'pushes a second tag: the layer exists',
        async () => {
          await docker(['tag', `${image}:1`, `${image}:2`])
          expectMatch((await docker(['push', `${image}:2`])).output, /Layer already exists/, 'push')
        },
      ],
      [
        'pushes to another repository, mounting the layer',
        async () => {
          await docker(['tag', `${image}:1`, `${stage.image('other')}:1`])
          const { output } = await docker(['push', `${stage.image('other')}:1`])
          expectMatch(output, new RegExp(`Mounted from ${stage.repository()}`), 'push')
          return 'cross-repository mount'
        },
      ],
      [
        'pulls by digest',
        async () => {
          const digest = await digestInRegistry(stage, stage.repository(), '1')
          await docker(['pull', '--quiet', `${image}@${digest}`])
        },
      ],
      [
        'builds from the image in the registry, and pushes',
        async () => {
          await forget()
          const context = join(stage.folder, 'build')
          await mkdir(context)
          await writeFile(join(context, 'Dockerfile'), `FROM ${image}:1\nCOPY Dockerfile /\n`)
          await docker(['build', '--quiet', '--tag', `${image}:built`, context])
          await docker(['push', `${image}:built`])
        },
      ],
      ['pulls every tag', () => docker(['pull', '--all-tags', '--quiet', image])],
      [
        'is refused a tag that is not there',
        () => isRefused(docker(['pull', `${image}:none`]), /manifest unknown|not found/),
      ],
    ]
    if (stage.ca === undefined || !isLoopback(stage.host)) {
      steps.push([
        'pushes an index',
        async () => {
          const insecure = `--insecure=${stage.ca === undefined}`
          await docker(['manifest', 'create', insecure, `${image}:multi`, `${image}:1`, `${image}:built`])
          await docker(['manifest', 'annotate', `${image}:multi`, `${image}:built`, '--arch', 'arm64'])
          await docker(['manifest', 'push', insecure, `${image}:multi`])
          const { stdout } = await docker(['manifest', 'inspect', insecure, `${image}:multi`])
          expectMatch(stdout, /"architecture": "arm64"/, 'manifest inspect')
          return 'index of two architectures'
        },
      ])
    }
    const { debian } = content
    if (stage.large && 'layer' in debian) {
      steps.push([
        'pushes Debian, pulls it and runs it',
        async () => {
          await docker(['import', debian.layer.file, `${image}:debian`])
          await docker(['push', `${image}:debian`])
          await forget()
          const running = ['run', '--rm', '--network', 'none', `${image}:debian`, 'cat', '/etc/os-release']
          expectMatch((await docker(running)).stdout, /^ID=debian$/m, 'run')
          return 'Debian'
        },
      ])
    }
    if (stage.ca !== undefined && !isLoopback(stage.host)) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(docker(['manifest', 'inspect', `${image}:1`], {}), untrusted),
      ])
    }
    return steps
  },
}

/** A daemon of our own: its data, its socket, its mounts; no bridge, no firewall rules. */
export async function startDaemon(
  stage: Pick<Stage, 'folder' | 'ca' | 'host' | 'start'>,
  socket: string,
  answers: () => Promise<boolean>,
): Promise<void> {
  const { folder } = stage
  const network = ['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false']
  const places = [
    '--data-root',
    join(folder, 'data'),
    '--exec-root',
    join(folder, 'x'),
    '--pidfile',
    join(folder, 'pid'),
  ]
  const insecure = stage.ca === undefined ? ['--insecure-registry', stage.host] : []
  const command = ['dockerd', ...network, ...places, ...insecure, '-H', socket]
  const daemon = await stage.start('unshare', ['--mount', '--propagation', 'private', ...command], {
    env: { SSL_CERT_FILE: stage.ca },
  })
  await untilReady(answers, { process: daemon, what: 'dockerd' })
}

/** Docker speaks plain http to such a registry, or https without looking at the certificate. */
function isLoopback(host: string): boolean {
  const name = host.slice(0, host.lastIndexOf(':'))
  return name === 'localhost' || (isIP(name) === 4 && name.startsWith('127.'))
}
