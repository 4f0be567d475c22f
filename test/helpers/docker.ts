import { image } from './images.ts'

/** What docker does with a name and a secret, by Basic credentials and without a token. */

/** A name and a secret: of a user, a robot, … */
export type Login = readonly [name: string, secret: string]

export function basic([name, secret]: Login): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` }
}

/** The status of `docker login`: 200 or 401. */
export function logInto(url: string, login: Login): Promise<number> {
  return statusOf(`${url}/v2/`, { headers: basic(login) })
}

/** Pushes a small image as `latest`. @returns 201, or the status of what was refused first */
export async function pushAs(url: string, login: Login, repository: string): Promise<number> {
  const headers = basic(login)
  const { manifest, blobs } = image()
  for (const { bytes, digest } of blobs) {
    const status = await statusOf(`${url}/v2/${repository}/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      headers,
      body: new Uint8Array(bytes),
    })
    if (status !== 201) return status
  }
  return statusOf(`${url}/v2/${repository}/manifests/latest`, {
    method: 'PUT',
    headers: { ...headers, 'content-type': manifest.mediaType },
    body: new Uint8Array(manifest.bytes),
  })
}

/** The status of pulling what `pushAs` pushed; without a login it is no one's. */
export function pullAs(url: string, login: Login | undefined, repository: string): Promise<number> {
  return statusOf(`${url}/v2/${repository}/manifests/latest`, { headers: login === undefined ? {} : basic(login) })
}

async function statusOf(url: string, init: RequestInit): Promise<number> {
  const response = await fetch(url, init)
  await response.arrayBuffer()
  return response.status
}
