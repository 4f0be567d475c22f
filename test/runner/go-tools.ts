import { join } from 'node:path'
import { attempt } from '../../conformance/process.ts'
import { cacheFolder, findProgram } from '../../conformance/programs.ts'

/** Clients that Debian lacks, at the versions which the compatibility table speaks of. */
const tools = {
  crane: 'github.com/google/go-containerregistry/cmd/crane@v0.22.1',
  oras: 'oras.land/oras/cmd/oras@v1.3.3',
  helm: 'helm.sh/helm/v3/cmd/helm@v3.22.0',
} as const

/** Builds the clients that are not on the PATH where Go is there; the first time this takes minutes. */
export async function installGoTools(): Promise<void> {
  const go = findProgram('go')
  if (go === undefined) return
  const bin = join(cacheFolder, 'bin')
  for (const [name, module] of Object.entries(tools)) {
    if (findProgram(name) !== undefined) continue
    console.error(`building ${module}`)
    // Small binaries, and nothing of this checkout in them.
    const env = { GOBIN: bin, GOFLAGS: '-buildvcs=false -trimpath -ldflags=-s', CGO_ENABLED: '0' }
    const built = await attempt(go, ['install', module], { env, seconds: 900 })
    if (built.code !== 0)
      console.error(`${name} could not be built: ${built.output.trim().split('\n').slice(-3).join('\n')}`)
  }
}
