import { join } from 'node:path'
import t from 'tap'
import { refuses } from '../cli/refuses.ts'

/** What is said of a file that can't be used for this reason. */
function sentence(reason: string): RegExp {
  return new RegExp(
    `^berth: the certificate authorities of the blob store can not be read from .*pem \\(${reason}\\): correct cafile in the section of the storage driver, or let the user \\S+ read the file$`,
    'm',
  )
}

t.test('what is wrong with the store is told by the names of its section', async t => {
  const env = {
    BERTH_DATA: t.testdir(),
    REGISTRY_STORAGE: 'rados',
    REGISTRY_STORAGE_RADOS_ENDPOINT: 'http://127.0.0.1:1',
    REGISTRY_STORAGE_RADOS_BUCKET: 'images',
    REGISTRY_STORAGE_RADOS_ACCESSKEY: 'id',
    REGISTRY_STORAGE_RADOS_SECRETKEY: 'hunter2',
  }
  const said = await refuses(t, { env }, /^berth: .*http:\/\/127\.0\.0\.1:1 .*storage\.rados\./m)
  t.notMatch(said, /storage\.s3|hunter2/)
})

t.test('certificate authorities that are not there, or are none, keep Berth from starting', async t => {
  const folder = t.testdir({ 'empty.pem': 'nothing' })
  const env = {
    BERTH_DATA: folder,
    REGISTRY_STORAGE: 's3',
    REGISTRY_STORAGE_S3_BUCKET: 'images',
    REGISTRY_STORAGE_S3_REGIONENDPOINT: 'https://127.0.0.1:1',
  }
  const cafile = (file: string) => ({ env: { ...env, REGISTRY_STORAGE_S3_CAFILE: join(folder, file) } })
  await refuses(t, cafile('none.pem'), sentence('ENOENT.*'))
  await refuses(t, cafile('empty.pem'), sentence('there is no certificate in it'))
})
