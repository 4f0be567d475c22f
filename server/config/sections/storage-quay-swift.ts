import { Type } from 'typebox'
import { entry, oneOf, text } from '../fields.ts'
import { bounded, given, serverWithScheme } from './storage-fields.ts'
import { anything, type DriverTree, folderOf, storagePath, type Values } from './storage-quay-fields.ts'

/** Quay's SwiftStorage: its parameters, and the section of `storage` that says the same. */

/** What python-swiftclient, which Quay hands them to, makes of a session. */
const osOptions = entry({
  tenant_id: Type.Optional(text()),
  tenant_name: Type.Optional(text()),
  project_id: Type.Optional(text()),
  project_name: Type.Optional(text()),
  project_domain_id: Type.Optional(text()),
  project_domain_name: Type.Optional(text()),
  user_id: Type.Optional(text()),
  user_domain_id: Type.Optional(text()),
  user_domain_name: Type.Optional(text()),
  region_name: Type.Optional(text()),
  endpoint_type: Type.Optional(oneOf(['publicURL', 'internalURL', 'adminURL', 'public', 'internal', 'admin'])),
  object_storage_url: Type.Optional(serverWithScheme()),
})

export const swiftParameters = {
  swift_container: text(),
  storage_path: storagePath,
  auth_url: serverWithScheme(),
  swift_user: text(),
  swift_password: text(),
  auth_version: bounded({ least: 1, most: 3, standard: 2 }),
  os_options: Type.Optional(osOptions),
  ca_cert_path: Type.Optional(text()),
  temp_url_key: Type.Optional(text()),
  simple_path_concat: anything,
  connect_timeout: anything,
  retry_count: anything,
  retry_on_ratelimit: anything,
}

export function swiftSection(values: Values<typeof swiftParameters>): DriverTree {
  const { os_options: options = {}, auth_version, swift_user } = values
  const tenant = options.project_name ?? options.tenant_name
  const tenantid = options.project_id ?? options.tenant_id
  // As python-swiftclient has it for Keystone; for version 1 it is one name.
  const [, userTenant, user] =
    auth_version > 1 && tenant === undefined ? (/^([^:]*):(.*)$/s.exec(swift_user) ?? []) : []
  return {
    swift: {
      authurl: values.auth_url,
      authversion: auth_version,
      username: user ?? swift_user,
      password: values.swift_password,
      container: values.swift_container,
      createcontainer: false,
      ...given({
        tenant: tenant ?? userTenant,
        tenantid,
        tenantdomain: options.project_domain_name,
        tenantdomainid: options.project_domain_id,
        userid: options.user_id,
        domain: options.user_domain_name,
        domainid: options.user_domain_id,
        region: options.region_name,
        endpointtype: options.endpoint_type?.replace(/URL$/, ''),
        storageurl: options.object_storage_url,
        prefix: folderOf(values.storage_path),
        cafile: values.ca_cert_path,
        secretkey: values.temp_url_key,
      }),
    },
  }
}
