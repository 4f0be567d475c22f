import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { prepareContainers } from '../../conformance/clients/containers.ts'
import type { Content } from '../../conformance/clients/content.ts'
import { startDaemon } from '../../conformance/clients/docker.ts'
import type { Stage } from '../../conformance/clients/steps.ts'

/** A client that logs in to a registry which speaks plain http on this machine. */
export interface LoginClient {
  name: string
  programs: readonly string[]
  root: boolean
  /** Whether a login asks the registry; else a wrong password shows with the first push. */
  asks: boolean
  /** What a repository is called that is pushed to under a name. */
  repositoryOf(name: string): string
  open(stage: LoginStage): Promise<LoggingIn>
}

/** What a client does; each fails with what the client said. */
export interface LoggingIn {
  login(this: void, user: string, secret: string): Promise<unknown>
  logout(this: void): Promise<unknown>
  push(this: void, name: string): Promise<unknown>
  /** Past everything that the client has of it already. */
  pull(this: void, name: string): Promise<unknown>
}

/** A folder of the client's own, and the registry. */
export type LoginStage = Pick<Stage, 'folder' | 'ca' | 'host' | 'run' | 'start'> & { content: Content }

const same = (name: string) => name

/** The three that share their storage and their file of logins. */
async function openContainers(stage: LoginStage, program: 'podman' | 'skopeo' | 'buildah') {
  const containers = await prepareContainers(stage)
  const run = (args: readonly string[], input?: string) =>
    containers.run(program, args, { seconds: 120, ...(input === undefined ? {} : { input }) })
  return {
    ...containers,
    run,
    login: (user: string, secret: string) =>
      run(['login', ...containers.trust, '--username', user, '--password-stdin', stage.host], secret),
    logout: () => run(['logout', stage.host]),
  }
}

const podman: LoginClient = {
  name: 'podman',
  programs: ['podman', 'unshare'],
  root: true,
  asks: true,
  repositoryOf: same,
  async open(stage) {
    const { run, login, logout, trust } = await openContainers(stage, 'podman')
    return {
      login,
      logout,
      async push(name) {
        const image = `${stage.host}/${name}:1`
        await run(['import', '--quiet', stage.content.smallLayer.file, image])
        await run(['push', '--quiet', ...trust, image])
      },
      async pull(name) {
        await run(['rmi', '--all', '--force'])
        await run(['pull', '--quiet', ...trust, `${stage.host}/${name}:1`])
      },
    }
  },
}

const skopeo: LoginClient = {
  name: 'skopeo',
  programs: ['skopeo'],
  root: false,
  asks: true,
  repositoryOf: same,
  async open(stage) {
    const { run, login, logout, from, to } = await openContainers(stage, 'skopeo')
    const { folder, tag } = stage.content.small
    let pulled = 0
    return {
      login,
      logout,
      push: name => run(['copy', ...to, `oci:${folder}:${tag}`, `docker://${stage.host}/${name}:1`]),
      pull: name =>
        run(['copy', ...from, `docker://${stage.host}/${name}:1`, `dir:${join(stage.folder, `pulled-${++pulled}`)}`]),
    }
  },
}

const buildah: LoginClient = {
  name: 'buildah',
  programs: ['buildah', 'unshare'],
  root: true,
  asks: true,
  repositoryOf: same,
  async open(stage) {
    const { run, login, logout, trust } = await openContainers(stage, 'buildah')
    const { folder, tag } = stage.content.small
    return {
      login,
      logout,
      async push(name) {
        const id = (await run(['pull', '--quiet', `oci:${folder}:${tag}`])).stdout.trim()
        await run(['push', '--quiet', ...trust, id, `docker://${stage.host}/${name}:1`])
      },
      async pull(name) {
        await run(['rmi', '--all', '--force'])
        await run(['pull', '--quiet', ...trust, `${stage.host}/${name}:1`])
      },
    }
  },
}

const docker: LoginClient = {
  name: 'docker',
  programs: ['dockerd', 'docker', 'containerd', 'runc', 'unshare'],
  root: true,
  asks: true,
  repositoryOf: same,
  async open(stage) {
    const socket = `unix://${join(stage.folder, 'docker.sock')}`
    const run = (args: readonly string[], input?: string) =>
      stage.run('docker', ['-H', socket, ...args], { seconds: 120, ...(input === undefined ? {} : { input }) })
    await startDaemon(stage, socket, async () => (await run(['version'])).code === 0)
    return {
      login: (user, secret) => run(['login', '--username', user, '--password-stdin', stage.host], secret),
      logout: () => run(['logout', stage.host]),
      async push(name) {
        await run(['import', stage.content.smallLayer.file, `${stage.host}/${name}:1`])
        await run(['push', `${stage.host}/${name}:1`])
      },
      async pull(name) {
        await run(['image', 'prune', '--all', '--force'])
        await run(['pull', '--quiet', `${stage.host}/${name}:1`])
      },
    }
  },
}

const helm: LoginClient = {
  name: 'helm',
  programs: ['helm'],
  root: false,
  asks: true,
  // A chart is pushed into a repository of its own name.
  repositoryOf: name => `${name}/boat`,
  async open(stage) {
    const run = (args: readonly string[], input?: string) =>
      stage.run('helm', args, input === undefined ? {} : { input })
    const chart = join(stage.folder, 'boat')
    await mkdir(chart)
    await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: boat\nversion: 1.0.0\n')
    await run(['package', chart])
    let pulled = 0
    return {
      login: (user, secret) =>
        run(['registry', 'login', stage.host, '--plain-http', '--username', user, '--password-stdin'], secret),
      logout: () => run(['registry', 'logout', stage.host]),
      push: name => run(['push', join(stage.folder, 'boat-1.0.0.tgz'), `oci://${stage.host}/${name}`, '--plain-http']),
      async pull(name) {
        const folder = join(stage.folder, `pulled-${++pulled}`)
        await mkdir(folder)
        const chart = `oci://${stage.host}/${name}/boat`
        await run(['pull', chart, '--version', '1.0.0', '--destination', folder, '--plain-http'])
      },
    }
  },
}

const oras: LoginClient = {
  name: 'oras',
  programs: ['oras'],
  root: false,
  asks: true,
  repositoryOf: same,
  async open(stage) {
    const run = (args: readonly string[], input?: string) =>
      stage.run('oras', args, input === undefined ? {} : { input })
    await writeFile(join(stage.folder, 'notes.txt'), 'notes\n')
    let pulled = 0
    return {
      login: (user, secret) =>
        run(['login', stage.host, '--plain-http', '--username', user, '--password-stdin'], secret),
      logout: () => run(['logout', stage.host]),
      push: name => run(['push', '--plain-http', `${stage.host}/${name}:1`, 'notes.txt']),
      pull: name => run(['pull', '--plain-http', '--output', `pulled-${++pulled}`, `${stage.host}/${name}:1`]),
    }
  },
}

const crane: LoginClient = {
  name: 'crane',
  programs: ['crane'],
  root: false,
  asks: false,
  repositoryOf: same,
  async open(stage) {
    const run = (args: readonly string[], input?: string) =>
      stage.run('crane', ['--insecure', ...args], input === undefined ? {} : { input })
    let pulled = 0
    return {
      login: (user, secret) => run(['auth', 'login', stage.host, '--username', user, '--password-stdin'], secret),
      logout: () => run(['auth', 'logout', stage.host]),
      push: name => run(['push', stage.content.small.folder, `${stage.host}/${name}:1`]),
      pull: name =>
        run(['pull', '--format', 'oci', `${stage.host}/${name}:1`, join(stage.folder, `pulled-${++pulled}`)]),
    }
  },
}

export const loginClients: readonly LoginClient[] = [podman, skopeo, buildah, docker, helm, oras, crane]
