import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openAccessRules } from '../access/access-rules.ts'
import { createAccountsGuard } from '../access/accounts-guard.ts'
import { createEncryptedPasswords } from '../access/encrypted-passwords.ts'
import { createExternalGuard } from '../access/external-guard.ts'
import { openExternalKeys } from '../access/external-keys.ts'
import { createExternalTokens } from '../access/external-tokens.ts'
import type { Guard } from '../access/guard.ts'
import { openHtpasswd } from '../access/htpasswd-users.ts'
import { createLoginLimits } from '../access/login-limits.ts'
import type { AccountPolicy } from '../access/may.ts'
import { createNamedGuard } from '../access/named-guard.ts'
import { createPasswords } from '../access/passwords.ts'
import { createSecrets } from '../access/secrets.ts'
import { createSigningKeys } from '../access/signing-keys.ts'
import { createTokenService } from '../access/token-service.ts'
import { createTokens, graceMs } from '../access/tokens.ts'
import { createAccounts } from '../accounts/index.ts'
import { isFreeNamespaceName } from '../accounts/names.ts'
import { createPushedRepositories } from '../accounts/pushed-repositories.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../metadata/database.ts'
import { createRepositoryChanges } from '../registry/repositories.ts'
import { type Access, openToEveryone } from '../services.ts'

type AccountsConfig = NonNullable<NonNullable<Config['auth']>['accounts']>
type TokenConfig = NonNullable<NonNullable<Config['auth']>['token']>

export interface AccessOptions {
  database: Database
  log: Logger
  /** Of new passwords: bcrypt's logarithm of rounds; what is safe when left out. */
  passwordCost?: number
}

/** Who may do what, as the configuration's section `auth` says. @throws Error with what to do when a file can't be used */
export async function openAccess(config: Config, options: AccessOptions): Promise<Access & AsyncDisposable> {
  const { accounts, token, htpasswd, access } = config.auth ?? {}
  if (accounts !== undefined) return accountsAccess(accounts, { ...options, secretKey: await secretKeyOf(config) })
  const open = openToEveryone(options.database)
  if (token !== undefined)
    return { ...open, guard: externalGuard(token, options), [Symbol.asyncDispose]: async () => {} }
  if (htpasswd === undefined && access === undefined) return { ...open, [Symbol.asyncDispose]: async () => {} }
  return { ...open, ...(await namedAccess(config, options)) }
}

/** Users of files and certificates. */
async function namedAccess(
  { auth: { htpasswd, access } = {}, http }: Config,
  { log, passwordCost }: AccessOptions,
): Promise<AsyncDisposable & { guard: Guard }> {
  await using stack = new AsyncDisposableStack()
  const rules = access && openAccessRules({ path: access.path, log })
  if (htpasswd === undefined && (http.tls?.clientcas ?? []).length === 0)
    log.warn('auth.access without auth.htpasswd or http.tls.clientcas: no one can say who they are')
  const passwords = stack.use(createPasswords({ cost: passwordCost }))
  const guard = createNamedGuard({
    ...(rules === undefined ? {} : { rules }),
    ...(htpasswd === undefined
      ? {}
      : {
          passwords: {
            users: await openHtpasswd({ path: htpasswd.path, passwords, log }),
            limits: createLoginLimits(),
            realm: htpasswd.realm,
          },
        }),
  })
  const running = stack.move()
  return { guard, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Users of a token service of someone else's. */
function externalGuard(settings: TokenConfig, { log }: AccessOptions): Guard {
  const { realm, service, issuer, rootcertbundle, jwks, signingalgorithms, autoredirect, autoredirectpath } = settings
  const keys = openExternalKeys({ rootcertbundle, jwks, log })
  return createExternalGuard({
    tokens: createExternalTokens({ keys, issuer, service, algorithms: signingalgorithms }),
    challenge: { scheme: 'Bearer', realm, redirectPath: autoredirect ? autoredirectpath : undefined, service },
  })
}

function accountsAccess(
  settings: AccountsConfig,
  { database, log, passwordCost, secretKey }: AccessOptions & { secretKey: string },
): Access & AsyncDisposable {
  const policy = policyOf(settings)
  const passwords = createPasswords({ cost: passwordCost })
  const encryptedPasswords = createEncryptedPasswords(secretKey)
  const secrets = createSecrets(secretKey, 'tokens')
  const tokenMs = settings.tokenlifetime
  const keys = createSigningKeys({
    database,
    algorithm: settings.signingalgorithm,
    secretKey,
    tokenMs: tokenMs + graceMs,
  })
  const tokens = createTokens({ keys, service: settings.service, lifetimeMs: tokenMs })
  const guard = createAccountsGuard({
    database,
    passwords,
    encryptedPasswords,
    limits: createLoginLimits(),
    tokens,
    secrets,
    policy,
    powers: { superusers: new Set(settings.superusers), readers: new Set(settings.readonlysuperusers) },
    log,
  })
  const changes = createRepositoryChanges()
  const accounts = createAccounts({
    database,
    changes,
    guard,
    passwords,
    encryptedPasswords,
    secrets,
    policy,
    settings: {
      userCreation: settings.usercreation,
      initialize: settings.initialize,
      teamInvites: settings.teaminvites,
      createPrivateRepositoryOnPush: settings.createprivaterepositoryonpush,
      appTokenMs: settings.apptokenlifetime,
      sessionMs: settings.sessions.timeout,
      freshLoginMs: settings.sessions.freshlogin,
    },
  })
  return {
    guard,
    changes,
    repositories: createPushedRepositories({
      database,
      guard,
      createPrivate: settings.createprivaterepositoryonpush,
      createNamespaces: settings.createnamespaceonpush,
    }),
    accounts: { guard, operations: accounts, tokens: createTokenService({ database, guard, tokens, policy }) },
    [Symbol.asyncDispose]: () => passwords[Symbol.asyncDispose](),
  }
}

function policyOf(settings: AccountsConfig): AccountPolicy {
  const free = new Set(settings.restrictedusersallow)
  return {
    anonymous: settings.anonymous,
    superusersFullAccess: settings.superusersfullaccess,
    createNamespaceOnPush: settings.createnamespaceonpush,
    isFreeNamespace: isFreeNamespaceName,
    createRepositoryOnPush: settings.createrepositoryonpush,
    isRestricted: name => settings.restrictedusers && !free.has(name),
  }
}

/**
 * The key that encrypts what the database keeps: of the configuration, or, where Berth brings its own Postgres, one that is
 * made once and stands beside it.
 */
async function secretKeyOf({ auth, data }: Config): Promise<string> {
  const given = auth?.accounts?.secretkey
  if (given !== undefined) return given
  const file = join(data, 'secret.key')
  await mkdir(data, { recursive: true })
  // Only the first of several who come at once makes it.
  await writeFile(file, `${randomBytes(32).toString('hex')}\n`, { flag: 'wx', mode: 0o600, flush: true }).catch(
    (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    },
  )
  const key = (await readFile(file, 'utf8')).trim()
  if (key === '') throw new Error(`${file} is empty: restore it, for without it no secret of the database can be read`)
  return key
}
