/** nginx with the configuration that docs/operations.md has for it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../../conformance/berth.ts'
import { ask } from '../../conformance/http.ts'
import { start, untilReady } from '../../conformance/process.ts'

interface NginxOptions {
  /** The path of the program. */
  nginx: string
  /** `address:port` of Berth. */
  berth: string
  /** The folder of the store. */
  root: string
}

/** Starts it in front of a Berth; it ends with the test. @returns its URL */
export async function startNginx(t: Test, { nginx, berth, root }: NginxOptions): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nginx-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [server = '', location = ''] = [...text.matchAll(/^```nginx\n(.*?)^```/gms)].map(([, block = '']) => block)
  const documented = server.replace(/\}\n$/, `${location}}\n`)
  const changes: [from: RegExp, to: string][] = [
    [/server 127\.0\.0\.1:5000;/, `server ${berth};`],
    [/listen 443 ssl http2;/, `listen 127.0.0.1:${port};`],
    [/^ *ssl_certificate(_key)? .*$/gm, ''],
    [/alias \/var\/lib\/berth\//, `alias ${root}/`],
  ]
  const site = changes.reduce((config, [from, to]) => {
    if (config.search(from) < 0) throw new Error(`docs/operations.md has no ${from.source} for nginx`)
    return config.replace(from, to)
  }, documented)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(what => `${what}_temp_path ${folder};`)
  await writeFile(
    join(folder, 'nginx.conf'),
    `daemon off;
worker_processes 1;
pid ${folder}/pid;
${process.getuid?.() === 0 ? 'user root;' : ''}
events {}
http {
access_log off;
${temporary.join('\n')}
${site}
}
`,
  )
  const running = await start(nginx, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'])
  t.teardown(() => running.stop())
  const url = `http://127.0.0.1:${port}`
  await untilReady(async () => (await ask(`${url}/v2/`)).status === 200, { process: running, what: 'nginx' })
  return url
}
