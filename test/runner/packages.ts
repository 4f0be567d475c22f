import { existsSync } from 'node:fs'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { attempt, run, type RunResult } from '../../conformance/process.ts'

/** What the tests need of Debian. */
const packages = [
  // The clients, and what they run on.
  'skopeo podman buildah docker.io containerd runc crun uidmap debootstrap ca-certificates openssl iproute2 util-linux',
  // An operator's own Postgres, full disks, traced system calls, tiny images.
  'postgresql-15 e2fsprogs strace busybox-static curl procps',
  // A proxy that sends files itself, and a peer for the benchmark.
  'nginx docker-registry',
  // Object stores: Ceph, Swift, and Swift with Keystone.
  'ceph-mon ceph-osd radosgw ceph-common',
  'swift-proxy swift-account swift-container swift-object memcached',
  'keystone python3-keystonemiddleware uwsgi uwsgi-plugin-python3',
].flatMap(line => line.split(' '))

/** Where maintainer scripts ask whether they may start a daemon. */
const policy = '/usr/sbin/policy-rc.d'

/**
 * Installs what is missing, in one call of apt, without starting any daemon. Does nothing on other systems or
 * without root: what needs those programs is then skipped by name.
 */
export async function installPackages(): Promise<void> {
  if (process.getuid?.() !== 0 || !(await isDebian())) return
  const missing = await missingPackages()
  if (missing.length === 0) return
  console.error(`installing from Debian: ${missing.join(' ')}`)
  // A policy that is there is the machine's own, and stays as it is.
  const ownPolicy = !existsSync(policy)
  try {
    if (ownPolicy) {
      await writeFile(policy, '#!/bin/sh\nexit 101\n')
      await chmod(policy, 0o755)
    }
    await apt('update')
    await apt('install', '-y', '--no-install-recommends', ...(await installable(missing)))
  } catch (error) {
    // Not the end of the run: what is missing is skipped by name, and in continuous integration that is a failure.
    console.error(`packages could not be installed: ${error instanceof Error ? error.message : String(error)}`)
  } finally {
    if (ownPolicy) await rm(policy, { force: true })
  }
}

function apt(...args: string[]): Promise<RunResult> {
  return run('apt-get', ['-qq', ...args], {
    env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
    seconds: 900,
  })
}

async function isDebian(): Promise<boolean> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^ID="?debian"?$/m.test(release)
}

async function missingPackages(): Promise<string[]> {
  const { stdout } = await attempt('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\\n', ...packages])
  const lines = new Set(stdout.split('\n'))
  return packages.filter(name => !lines.has(`${name} installed`))
}

/** Those that this release has: one unknown name would make apt refuse all. */
async function installable(names: readonly string[]): Promise<string[]> {
  const { stdout } = await attempt('apt-cache', ['policy', ...names])
  const candidates = [...stdout.matchAll(/^(\S+):\n.*\n {2}Candidate: (.*)$/gm)]
  const known = new Set(candidates.filter(([, , version]) => version !== '(none)').map(([, name]) => name))
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length > 0) console.error(`not in this release: ${unknown.join(' ')}`)
  return names.filter(name => known.has(name))
}
