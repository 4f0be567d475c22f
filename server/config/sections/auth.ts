import { Type } from 'typebox'
import { checked, duration, entry, flag, lifetime, oneOf, partial, section, text } from '../fields.ts'

/** The signatures that jose and distribution know. */
const signatures = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA'] as const

/** Text that clients are told in a header. */
const told = (standard?: string) =>
  checked(
    text => /^[ -~]*$/.test(text),
    () => 'has characters that a header can not carry: write it in ASCII, without line breaks',
    standard,
  )

const names = () => Type.Array(text(), { default: [] })

/** Users, organizations, robots and tokens in Postgres (Berth's own). */
const accounts = entry({
  /** Encrypts what is kept in the database and can be looked at again; the same in every process. */
  secretkey: Type.Optional(
    checked(
      text => text.length >= 16,
      () => 'has to have 16 characters at least; make one by: openssl rand -hex 32',
    ),
  ),
  /** What tokens are issued for, and clients name as `service`. */
  service: told('berth'),
  tokenlifetime: lifetime({ default: '5m', most: 24 * 3600_000 }),
  signingalgorithm: oneOf(['ES256', 'RS256'], 'ES256'),
  /** Whether those without an account may pull what is public. */
  anonymous: flag(true),
  usercreation: flag(false),
  initialize: flag(false),
  /** Whether a user has to agree before a team of an organization has the user as a member. */
  teaminvites: flag(false),
  superusers: names(),
  superusersfullaccess: flag(false),
  readonlysuperusers: names(),
  /** Whether users may create nothing in their own namespace, but for those of the list. */
  restrictedusers: flag(false),
  restrictedusersallow: names(),
  createrepositoryonpush: flag(true),
  createprivaterepositoryonpush: flag(true),
  createnamespaceonpush: flag(false),
  /** For how long an application-specific token is good; for ever when left out. */
  apptokenlifetime: Type.Optional(lifetime()),
  sessions: section({ timeout: duration('744h'), freshlogin: duration('10m') }),
})

/**
 * Who may do what: by registry:2's ways (`htpasswd`, `token`), each of which may stand beside an access file, by client
 * certificates and such a file alone, or by accounts.
 */
export const auth = partial(
  {
    none: entry({}),
    silly: partial({ realm: text(), service: text() }),
    htpasswd: entry({ realm: told('Berth'), path: text() }),
    token: entry({
      realm: Type.Optional(told()),
      service: told(),
      issuer: text(),
      rootcertbundle: Type.Optional(text()),
      jwks: Type.Optional(text()),
      signingalgorithms: Type.Array(oneOf(signatures), { default: [] }),
      autoredirect: flag(false),
      autoredirectpath: checked(
        text => /^\/[!-~]*$/.test(text),
        text => `${JSON.stringify(text)} is not a path like /auth/token`,
        '/auth/token',
      ),
    }),
    /** A file of rules: who may do what in which repositories. */
    access: entry({ path: text() }),
    accounts,
  },
  { shorthand: true },
)

/** Those of which one may stand at most. */
export const authWays = ['none', 'silly', 'htpasswd', 'token', 'accounts'] as const
