import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { entry, text } from '../fields.ts'
import type { Tree } from '../tree.ts'
import { given, serverWithScheme } from './storage-fields.ts'
import { type DriverTree, folderOf, storagePath, unusedParameters, type Values } from './storage-quay-fields.ts'
import { amazon, amazonKeys, amazonSection, gateway, gatewaySection, google, googleSection } from './storage-quay-s3.ts'
import { swiftParameters, swiftSection } from './storage-quay-swift.ts'

/** The distribution of CloudFront that serves the blobs. */
export interface QuayCloudFront {
  /** The host of the distribution, whose origin path is the root directory. */
  domain: string
  keyId: string
  privateKeyFile: string
}

/** A storage engine of Quay, by what stands in `DISTRIBUTED_STORAGE_CONFIG`. */
export interface Engine {
  parameters: Type.TObject
  /** Of these both have to be there, or neither. */
  pair: readonly string[]
  /** Of these one has to be there at least. */
  needed: readonly string[]
  /** Parameters that do nothing here, and why. */
  unused: Readonly<Record<string, string>>
  /** The section of `storage` that says the same as these parameters, which have passed the checks. */
  section(parameters: Tree): DriverTree
  cloudFront(parameters: Tree): QuayCloudFront | undefined
}

interface EngineOptions<Properties extends Type.TProperties> extends Partial<Pick<Engine, 'pair' | 'needed'>> {
  section: (values: Values<Properties>) => DriverTree
  cloudFront?: (values: Values<Properties>) => QuayCloudFront
}

function engine<Properties extends Type.TProperties>(
  properties: Properties,
  { section, cloudFront, pair = [], needed = [] }: EngineOptions<Properties>,
): Engine {
  const parameters = entry(properties)
  const decode = (tree: Tree) => Value.Decode(parameters, tree)
  return {
    parameters,
    pair,
    needed,
    unused: Object.fromEntries(Object.entries(unusedParameters).filter(([key]) => Object.hasOwn(properties, key))),
    section: tree => section(decode(tree)),
    cloudFront: tree => cloudFront?.(decode(tree)),
  }
}

const likeS3 = engine(gateway, { section: gatewaySection })
const keyPair = ['s3_access_key', 's3_secret_key']

/** By the names that they have in the configuration. */
export const engines: Readonly<Record<string, Engine>> = {
  LocalStorage: engine(
    { storage_path: text() },
    { section: ({ storage_path }) => ({ filesystem: { rootdirectory: storage_path } }) },
  ),
  S3Storage: engine({ ...amazon, ...amazonKeys }, { pair: keyPair, section: amazonSection }),
  CloudFrontedS3Storage: engine(
    {
      ...amazon,
      ...amazonKeys,
      cloudfront_distribution_domain: text(),
      cloudfront_key_id: text(),
      cloudfront_privatekey_filename: text(),
    },
    {
      pair: keyPair,
      section: amazonSection,
      cloudFront: values => ({
        domain: values.cloudfront_distribution_domain,
        keyId: values.cloudfront_key_id,
        privateKeyFile: values.cloudfront_privatekey_filename,
      }),
    },
  ),
  STSS3Storage: engine(
    {
      ...amazon,
      sts_role_arn: text(),
      sts_user_access_key: Type.Optional(text()),
      sts_user_secret_key: Type.Optional(text()),
    },
    {
      pair: ['sts_user_access_key', 'sts_user_secret_key'],
      section: ({ sts_role_arn, sts_user_access_key, sts_user_secret_key, ...values }) => {
        const keys = given({ s3_access_key: sts_user_access_key, s3_secret_key: sts_user_secret_key })
        return { s3: { ...amazonSection({ ...values, ...keys }).s3, rolearn: sts_role_arn } }
      },
    },
  ),
  RadosGWStorage: likeS3,
  RHOCSStorage: likeS3,
  IBMCloudStorage: likeS3,
  GoogleCloudStorage: engine(google, { section: googleSection }),
  SwiftStorage: engine(swiftParameters, { section: swiftSection }),
  AzureStorage: engine(
    {
      storage_path: storagePath,
      azure_container: text(),
      azure_account_name: text(),
      azure_account_key: Type.Optional(text()),
      sas_token: Type.Optional(text()),
      endpoint_url: Type.Optional(serverWithScheme()),
    },
    {
      needed: ['azure_account_key', 'sas_token'],
      section: values => ({
        azure: {
          accountname: values.azure_account_name,
          container: values.azure_container,
          createcontainer: false,
          ...given({
            accountkey: values.azure_account_key,
            sastoken: values.sas_token,
            serviceurl: values.endpoint_url,
            rootdirectory: folderOf(values.storage_path),
          }),
        },
      }),
    },
  ),
}

/** Engines of Quay that Berth has not, and what to do. */
export const otherEngines: Readonly<Record<string, string>> = {
  CloudFlareStorage: 'Berth has no CloudFlareStorage yet; write S3Storage with the parameters of S3 alone',
  AkamaiS3Storage: 'Berth has no AkamaiS3Storage yet; write S3Storage with the parameters of S3 alone',
  MultiCDNStorage: 'Berth has no MultiCDNStorage yet; write S3Storage with what stands in storage_config',
}
