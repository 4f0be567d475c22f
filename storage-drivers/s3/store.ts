import type { Readable } from 'node:stream'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import pLimit from 'p-limit'
import { type ByteRange, OutOfSpace, type SignOptions } from '../driver.ts'
import { isBrokenConnection, mayPassStatus, persistently } from '../retries.ts'
import { createS3Client } from './client.ts'
import type { S3Options } from './options.ts'
import type { StoredPart } from './state.ts'

/** The requests to S3 that the driver makes, on names below its root; errors are S3's own. */
export interface S3Store extends Disposable {
  createBucket(): Promise<void>
  put(name: string, body: Uint8Array): Promise<void>
  /** Exactly the range, or what there is of it. @throws the error of a missing object */
  get(name: string, range: ByteRange): Promise<Readable>
  /** Bytes; undefined where there is no such object. */
  size(name: string): Promise<number | undefined>
  delete(names: readonly string[]): Promise<void>
  beginMultipart(name: string): Promise<string>
  /** Whether a multipart upload is still there. */
  hasMultipart(name: string, id: string): Promise<boolean>
  /** @returns the ETag */
  putPart(name: string, id: string, number: number, body: Uint8Array): Promise<string>
  /** @param whole the parts, and the bytes that they have together */
  complete(name: string, id: string, whole: { etags: readonly string[]; size: number }): Promise<void>
  /** Success, too, where there is no such upload any more. */
  abort(name: string, id: string): Promise<void>
  /** Multipart uploads to names that begin so, which were begun before then. */
  multiparts(beginning: string, before: Date): AsyncIterable<{ name: string; id: string }>
  /** The parts that a multipart upload has, and when the last one came. */
  partsOf(name: string, id: string): Promise<{ parts: StoredPart[]; modified: Date | undefined }>
  /** Objects below a folder that were made before then. Not for a request's way: lists are slow, and may be late. */
  list(folder: string, before: Date): AsyncIterable<{ name: string; size: number }>
  deleteFolder(folder: string): Promise<void>
  sign(name: string, options: SignOptions): Promise<string>
  /** By how many milliseconds the store's clock was ahead of ours when it answered last. */
  clockAhead(): number
}

/** What one request for deletion takes. */
const mostDeleted = 1000
/** Requests at a time where each deletes one object. */
const deletedAtOnce = 16
const anyTime = new Date(8.64e15)

/** @param patient whether requests are repeated while they fail with what may pass */
export function createS3Store(options: S3Options, { patient }: { patient: boolean }): S3Store {
  const { bucket, rootdirectory, encryption, storageClass, acl } = options
  let ahead = 0
  const client = createS3Client(options, { onDate: date => (ahead = date.getTime() - Date.now()) })
  const signers = new Map<string | undefined, S3Client>()
  const root = rootdirectory.replaceAll(/^\/+|\/+$/g, '')
  const prefix = root === '' ? '' : `${root}/`
  const at = (name: string) => ({ Bucket: bucket, Key: prefix + name })
  const kept = {
    ...(storageClass === undefined ? {} : { StorageClass: storageClass as 'STANDARD' }),
    ...(acl === undefined ? {} : { ACL: acl as 'private' }),
    ...(encryption === undefined ? {} : { ServerSideEncryption: encryption.algorithm }),
    ...(encryption?.keyId === undefined ? {} : { SSEKMSKeyId: encryption.keyId }),
  }
  /** Whether the server takes requests that delete many objects: not all do. */
  let deletesMany = options.bulkDelete

  /** Makes a request, again and again: a body is bytes in memory, and can be sent again. */
  const ask = <Result>(request: () => Promise<Result>): Promise<Result> =>
    patient ? persistently(request, mayPass).catch(rethrowFull) : request()

  function signer(endpoint: string | undefined): S3Client {
    const known = signers.get(endpoint) ?? createS3Client(options, { endpoint })
    signers.set(endpoint, known)
    return known
  }

  async function removeMany(names: readonly string[]): Promise<void> {
    const Objects = names.map(name => ({ Key: prefix + name }))
    const { Errors = [] } = await ask(() =>
      client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } })),
    )
    const [failed] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
    if (failed !== undefined) throw new Error(`${failed.Key} was not deleted: ${failed.Code} ${failed.Message}`)
  }

  async function removeOne(name: string): Promise<void> {
    await ask(() => client.send(new DeleteObjectCommand(at(name)))).catch(rethrowUnlessMissing)
  }

  async function remove(names: readonly string[]): Promise<void> {
    const atOnce = pLimit(deletedAtOnce)
    for (let from = 0; from < names.length; from += mostDeleted) {
      const some = names.slice(from, from + mostDeleted)
      if (some.length > 1 && deletesMany) {
        try {
          await removeMany(some)
          continue
        } catch (error) {
          if (!isUnknownRequest(error)) throw error
          deletesMany = false
        }
      }
      await atOnce.map(some, removeOne)
    }
  }

  async function sizeOf(name: string): Promise<number | undefined> {
    try {
      return (await ask(() => client.send(new HeadObjectCommand(at(name))))).ContentLength
    } catch (error) {
      return rethrowUnlessMissing(error)
    }
  }

  async function* list(folder: string, before: Date): AsyncIterable<{ name: string; size: number }> {
    for (let token: string | undefined, more = true; more;) {
      const page = await ask(() =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix + folder,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      )
      for (const { Key, Size = 0, LastModified } of page.Contents ?? [])
        if (Key !== undefined && LastModified !== undefined && LastModified < before)
          yield { name: Key.slice(prefix.length), size: Size }
      more = page.IsTruncated === true
      token = page.NextContinuationToken
    }
  }

  return {
    async createBucket() {
      const { region } = options
      // Amazon wants to be told of every region but the first.
      const here = options.endpoint !== undefined || region === 'us-east-1'
      await ask(() =>
        client.send(
          new CreateBucketCommand({
            Bucket: bucket,
            ...(here ? {} : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } }),
          }),
        ),
      ).catch((error: unknown) => {
        // Another process was quicker.
        if (nameOf(error) !== 'BucketAlreadyOwnedByYou') throw error
      })
    },

    async put(name, body) {
      await ask(() =>
        client.send(new PutObjectCommand({ ...at(name), ...kept, Body: body, ContentLength: body.length })),
      )
    },

    async get(name, { first, last }) {
      const { Body } = await ask(() =>
        client.send(new GetObjectCommand({ ...at(name), Range: `bytes=${first}-${last}` })),
      )
      return Body as Readable
    },

    size: sizeOf,

    delete: remove,

    async beginMultipart(name) {
      const { UploadId } = await ask(() => client.send(new CreateMultipartUploadCommand({ ...at(name), ...kept })))
      if (UploadId === undefined) throw new Error('the store began a multipart upload and told no id')
      return UploadId
    },

    async hasMultipart(name, id) {
      try {
        await ask(() => client.send(new ListPartsCommand({ ...at(name), UploadId: id, MaxParts: 1 })))
        return true
      } catch (error) {
        rethrowUnlessMissing(error)
        return false
      }
    },

    async putPart(name, id, number, body) {
      const part = { ...at(name), UploadId: id, PartNumber: number, Body: body, ContentLength: body.length }
      const { ETag } = await ask(() => client.send(new UploadPartCommand(part)))
      if (ETag === undefined) throw new Error('the store took a part and told no ETag')
      return ETag
    },

    async complete(name, id, { etags, size }) {
      const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }))
      let attempts = 0
      try {
        await ask(() => {
          attempts++
          return client.send(
            new CompleteMultipartUploadCommand({ ...at(name), UploadId: id, MultipartUpload: { Parts } }),
          )
        })
      } catch (error) {
        // The answer to an earlier one may have been lost.
        if (attempts === 1 || !isMissing(error) || (await sizeOf(name)) !== size) throw error
      }
    },

    async abort(name, id) {
      await ask(() => client.send(new AbortMultipartUploadCommand({ ...at(name), UploadId: id }))).catch(
        rethrowUnlessMissing,
      )
    },

    async *multiparts(beginning, before) {
      let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}
      for (let more = true; more;) {
        const request = { Bucket: bucket, Prefix: prefix + beginning, ...marker }
        const page = await ask(() => client.send(new ListMultipartUploadsCommand(request)))
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (Key === undefined || UploadId === undefined || Initiated === undefined || Initiated >= before) continue
          yield { name: Key.slice(prefix.length), id: UploadId }
        }
        more = page.IsTruncated === true
        marker = {
          ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
          ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }),
        }
      }
    },

    async partsOf(name, id) {
      const parts: StoredPart[] = []
      let modified: Date | undefined
      try {
        for (let marker: string | undefined, more = true; more;) {
          const request = {
            ...at(name),
            UploadId: id,
            ...(marker === undefined ? {} : { PartNumberMarker: marker }),
          }
          const page = await ask(() => client.send(new ListPartsCommand(request)))
          for (const { ETag = '', Size = 0, LastModified } of page.Parts ?? []) {
            parts.push({ etag: ETag, size: Size })
            if (LastModified !== undefined && LastModified > (modified ?? new Date(0))) modified = LastModified
          }
          more = page.IsTruncated === true
          marker = page.NextPartNumberMarker
        }
      } catch (error) {
        rethrowUnlessMissing(error)
      }
      return { parts, modified }
    },

    list,

    async deleteFolder(folder) {
      const names: string[] = []
      for await (const { name } of list(folder, anyTime)) names.push(name)
      await remove(names)
    },

    sign: (name, { expiresMs, endpoint = options.redirectEndpoint }) =>
      getSignedUrl(signer(endpoint), new GetObjectCommand(at(name)), { expiresIn: Math.ceil(expiresMs / 1000) }),

    clockAhead: () => ahead,

    [Symbol.dispose]() {
      client.destroy()
      for (const other of signers.values()) other.destroy()
    },
  }
}

function mayPass(error: unknown): boolean {
  return isBrokenConnection(error) || mayPassStatus(statusOf(error) ?? 0)
}

/** Whether S3 says that there is no such object, or no such upload. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket'
}

/** The HTTP status of S3's answer; undefined where there was none. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const metadata: unknown = Reflect.get(error, '$metadata')
  if (typeof metadata !== 'object' || metadata === null) return undefined
  const status: unknown = Reflect.get(metadata, 'httpStatusCode')
  return typeof status === 'number' ? status : undefined
}

/** S3's name for an error. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

function rethrowFull(error: unknown): never {
  throw nameOf(error) === 'QuotaExceeded' || statusOf(error) === 507 ? new OutOfSpace({ cause: error }) : error
}

function rethrowUnlessMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
  return undefined
}

/** Whether the server does not know a kind of request, or wants of it what the SDK does not send (Content-MD5). */
function isUnknownRequest(error: unknown): boolean {
  const status = statusOf(error)
  return status === 400 || status === 405 || status === 411 || status === 501
}
