import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from './layouts.ts'
import { type Client, digestInRegistry, expectEqual, expectMatch, isRefused, type Step, untrusted } from './steps.ts'
import { versionOf } from './versions.ts'

const template = `apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  greeting: {{ .Values.greeting | quote }}
`

export const helm: Client = {
  name: 'helm',
  programs: ['helm'],
  root: false,
  version: () => versionOf('helm', ['version', '--short'], /(v\S+)/),

  async steps(stage) {
    const trust = stage.ca === undefined ? ['--plain-http'] : ['--ca-file', stage.ca]
    const helm = (...args: string[]) => stage.run('helm', args)
    const chart = join(stage.folder, 'boat')
    const repository = `oci://${stage.image()}`
    await mkdir(join(chart, 'templates'), { recursive: true })
    await writeFile(join(chart, 'values.yaml'), 'greeting: hello\n')
    await writeFile(join(chart, 'templates/greeting.yaml'), template)
    const pack = async (version: string) => {
      await writeFile(join(chart, 'Chart.yaml'), `apiVersion: v2\nname: boat\nversion: ${version}\n`)
      await helm('package', chart)
      return join(stage.folder, `boat-${version}.tgz`)
    }

    const steps: Step[] = [
      [
        'pushes a chart in two versions',
        async () => {
          for (const version of ['1.0.0', '1.1.0+build.5']) {
            const { output } = await helm('push', await pack(version), repository, ...trust)
            expectMatch(output, /Digest: sha256:/, 'push')
          }
          const digest = await digestInRegistry(stage, `${stage.repository()}/boat`, '1.1.0_build.5')
          if (digest === undefined) throw new Error('the tag of the second version is not there')
          return 'chart'
        },
      ],
      [
        'pulls it by version, same file',
        async () => {
          await helm('pull', `${repository}/boat`, '--version', '1.0.0', '--destination', 'home', ...trust)
          const [before, after] = ['boat-1.0.0.tgz', 'home/boat-1.0.0.tgz'].map(file => join(stage.folder, file))
          expectEqual(await digestOfFile(after ?? ''), await digestOfFile(before ?? ''), 'the chart')
        },
      ],
      [
        'finds the newest version among the tags',
        async () => {
          const { stdout } = await helm('show', 'chart', `${repository}/boat`, '--version', '>=1.0.0', ...trust)
          expectMatch(stdout, /^version: 1\.1\.0\+build\.5$/m, 'show chart')
        },
      ],
      [
        'renders it from the registry',
        async () => {
          const { stdout } = await helm('template', 'mine', `${repository}/boat`, '--version', '1.0.0', ...trust)
          expectMatch(stdout, /greeting: "hello"/, 'template')
        },
      ],
      [
        'is refused a version that is not there',
        () => isRefused(helm('pull', `${repository}/boat`, '--version', '9.9.9', ...trust), /not found|not locate/i),
      ],
    ]
    if (stage.ca !== undefined) {
      steps.push([
        'refuses a certificate that it has no reason to trust',
        () => isRefused(helm('pull', `${repository}/boat`, '--version', '1.0.0'), untrusted),
      ])
    }
    return steps
  },
}
