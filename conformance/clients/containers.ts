/** What skopeo, podman and buildah have in common: one storage, one way to trust, one cache to keep apart. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { attempt, type RunOptions, type RunResult } from '../process.ts'
import type { Stage } from './steps.ts'

export interface Containers {
  run: (command: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>
  /** The options by which a command trusts the registry, or speaks http. */
  trust: readonly string[]
  /** The same for each side of skopeo's copy. */
  from: readonly string[]
  to: readonly string[]
}

/** As root these tools write to this folder whatever their settings say. */
const shared = '/var/lib/containers'

/** Prepares the stage's folder; nothing of the tools' storage, settings and caches is outside of it. */
export async function prepareContainers(stage: Pick<Stage, 'folder' | 'ca' | 'run'>): Promise<Containers> {
  const { folder, ca } = stage
  const own = join(folder, 'var-lib-containers')
  const certificates = join(folder, 'certs')
  await mkdir(own, { recursive: true })
  await mkdir(certificates)
  if (ca !== undefined) await copyFile(ca, join(certificates, 'ca.crt'))
  const root = process.getuid?.() === 0
  const driver = root && (await overlayWorks(folder)) ? 'overlay' : 'vfs'
  await writeFile(
    join(folder, 'storage.conf'),
    `[storage]\ndriver = "${driver}"\ngraphroot = "${folder}/storage"\nrunroot = "${folder}/run"\n`,
  )
  await writeFile(
    join(folder, 'containers.conf'),
    `[engine]\nlock_type = "file"\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\ntmp_dir = "${folder}/libpod"\n`,
  )
  await writeFile(join(folder, 'policy.json'), JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }))
  await writeFile(join(folder, 'auth.json'), JSON.stringify({ auths: {} }))
  const env = {
    CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
    CONTAINERS_CONF: join(folder, 'containers.conf'),
    REGISTRY_AUTH_FILE: join(folder, 'auth.json'),
    BUILDAH_ISOLATION: 'chroot',
  }
  const trust = (prefix: string) =>
    ca === undefined ? [`--${prefix}tls-verify=false`] : [`--${prefix}cert-dir`, certificates]
  return {
    run(command, args, options) {
      const [program, ...rest] = root ? inOwnMounts(own, [command, ...args]) : [command, ...args]
      return stage.run(program ?? command, rest, { ...options, env: { ...env, ...options?.env } })
    },
    trust: trust(''),
    from: trust('src-'),
    to: trust('dest-'),
  }
}

/**
 * The command in mounts of its own: what it mounts ends with it, and the folder that all of them share is one of
 * ours.
 */
function inOwnMounts(own: string, command: readonly string[]): string[] {
  const script = 'mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"'
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, own, shared, ...command]
}

/** Whether an overlay can be mounted where the folder is: not on top of another overlay, say. */
async function overlayWorks(folder: string): Promise<boolean> {
  const probe = join(folder, 'overlay-probe')
  for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(join(probe, name), { recursive: true })
  const options = `lowerdir=${probe}/lower,upperdir=${probe}/upper,workdir=${probe}/work`
  const mount = `mount -t overlay overlay -o ${options} ${probe}/merged`
  const tried = await attempt('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', mount])
  return tried.code === 0
}
