import type { Difference } from './differences.ts'

/** A difference that is meant to be. */
export interface Decision {
  /** The cases by their names; all when left out. */
  cases?: RegExp
  /** Where it shows: `status`, `header …`, `body…`. */
  at: RegExp
  /** What Quay has there, and what Berth has; anything when left out. */
  quay?: RegExp
  berth?: RegExp
  reason: string
}

const api = /\/api\/v1\//
const v2 = / \/v2\/|\{upload\}/
const token = /GET \/v2\/auth/
const uploads = /\/v2\/alice\/pushed\/blobs\/uploads\/|\{upload\}/
const success = /^20[014]$/

/** The first that fits counts. The reasons in full: docs/decisions/0015-what-differs-from-quay.md. */
export const decided: readonly Decision[] = [
  // Everywhere.
  { at: /^status$/, quay: /^500$/, berth: /^4/, reason: 'Quay breaks down; here it is told what is wrong' },
  {
    at: /^header content-type$/,
    quay: /^(text\/html; charset=utf-8|application\/json)$/,
    berth: /^none$/,
    reason: 'what has no body has no type',
  },
  {
    at: /^header content-type$/,
    quay: /^text\/html/,
    berth: /^application\/json$/,
    reason: 'Flask says that JSON is HTML, or sends a page where there should be JSON',
  },
  {
    cases: api,
    at: /^header www-authenticate$/,
    quay: /^none$/,
    berth: /^Bearer$/,
    reason: 'RFC 9110 wants one with 401',
  },

  // Refusals of the REST API.
  {
    cases: /GET \/api\/v1\/error\//,
    at: /^body\.status$/,
    quay: /^none$/,
    reason: 'the description of an error has its status',
  },
  {
    cases: api,
    at: /^body\.(detail|error_message|error_type|message|status|title|type)$/,
    quay: /^none$/,
    reason: 'a refusal has all fields of Quay’s several shapes',
  },
  { cases: api, at: /^body\.session_required$/, berth: /^none$/, reason: 'for Quay’s own UI' },
  { cases: api, at: /^body\.error$/, quay: /^string$/, berth: /^none$/, reason: 'one shape for all refusals' },
  { cases: /page=wrong/, at: /^body\.message/, reason: 'a message is a text' },
  { cases: /page=wrong/, at: /^status$/, berth: /^400$/, reason: 'a wrong page is no first page' },
  {
    cases: /\/api\/v1\/nothing/,
    at: /^status$/,
    quay: /^308$/,
    berth: /^404$/,
    reason: 'a path with a slash at its end is no other one',
  },
  {
    cases: /PATCH \/api\/v1\/user/,
    at: /^status$/,
    quay: /^405$/,
    berth: /^404$/,
    reason: 'routes are method and path',
  },

  // Users and sessions.
  {
    cases: /an address that is taken/,
    at: /^status$/,
    berth: /^400$/,
    reason: 'an address is one user’s, with or without mail',
  },
  { cases: /user\/convert/, at: /^body\.reason$/, berth: /^none$/, reason: 'for Quay’s own UI; the message says it' },
  { at: /^body\.prompts\[\]$/, berth: /^none$/, reason: 'Berth asks users for nothing' },
  { cases: /teaminvite/, at: /^(status|header|body)/, quay: /^(405|text)/, reason: 'invitations without mail' },
  { cases: /signin\/verify/, at: /^body\.needsEmailVerification$/, quay: /^none$/, reason: 'the shape of /signin' },
  {
    cases: /^anonymous: POST \/api\/v1\/signout/,
    at: /^status$/,
    berth: /^401$/,
    reason: 'only who is signed in signs out',
  },
  { cases: /authorizations/, at: /clientId$/, quay: /^none$/, reason: 'tells the application' },
  { cases: /authorizations/, at: /icon$/, berth: /^none$/, reason: 'for Quay’s own UI' },
  {
    cases: /narrow token: what it may not/,
    at: /^(status|body\.error_type)$/,
    berth: /^(403|insufficient_scope)$/,
    reason: 'the token is good',
  },
  { cases: /apptoken \(an empty title\)/, at: /^status$/, berth: /^400$/, reason: 'a token has a title' },
  { cases: /apptoken/, at: /^body\.only_expiring$/, reason: 'a boolean, where it can be asked for' },
  { cases: /superuser\/apptokens/, at: /username$/, quay: /^none$/, reason: 'tells whose it is' },
  { cases: /sendrecovery/, at: /^(status|body|header)/, reason: 'without mail, Berth gives the code to the superuser' },

  // Organizations and robots.
  { at: /^body\.contact_email$/, quay: /^none$/, reason: 'the name that other versions of Quay have for it' },
  {
    cases: /robots/,
    at: /unstructured_metadata$/,
    quay: /^null$/,
    berth: /^object$/,
    reason: 'no metadata are no fields',
  },
  {
    cases: /GET \/api\/v1\/app\//,
    at: /^body\.organization\./,
    berth: /^none$/,
    reason: 'a name and an avatar are for everyone',
  },

  // Repositories.
  {
    cases: /^anonymous: POST \/api\/v1\/repository$/,
    at: /^(status|body\.error_type)$/,
    berth: /^(401|invalid_token)$/,
    reason: 'as for all that no one may',
  },
  { cases: /includeStats/, at: /^body\.stats$/, berth: /^none$/, reason: 'pulls are counted by a later version' },
  { at: /popularity$/, berth: /^none$/, reason: 'pulls are counted by a later version' },
  { at: /\.description$/, quay: /null/, berth: /^string$/, reason: 'no description is an empty one' },
  {
    cases: /nowhere|not there|\(again\)/,
    at: /^status$/,
    quay: success,
    berth: /^404$/,
    reason: 'what is not there is not changed',
  },
  { cases: /starred \(a private one\)/, at: /^status$/, berth: /^404$/, reason: 'forbidden is like missing' },
  { cases: /\/tag\/fourth \(to nothing\)/, at: /^status$/, berth: /^400$/, reason: 'nothing was asked for' },
  {
    cases: /\(an expiration\)|\(immutable\)/,
    at: /^status$/,
    berth: /^400$/,
    reason: 'comes with the life cycle of tags',
  },
  {
    cases: /\/tag\//,
    at: /child_manifest|present_child_count|is_sparse/,
    berth: /^none$/,
    reason: 'of sparse indexes, by a later version',
  },
  {
    cases: /\/manifest\//,
    at: /layers_compressed_size$/,
    quay: /^number$/,
    berth: /^null$/,
    reason: 'an index has no layers',
  },
  { cases: /labels/, at: /^header location$/, reason: 'a whole URL' },

  // Search and discovery.
  {
    cases: /^anonymous: GET \/api\/v1\/entities/,
    at: /^status$/,
    berth: /^401$/,
    reason: 'the names of users are for users',
  },
  {
    cases: /find\/all/,
    at: /^body\.results\[\]/,
    reason: 'Berth also finds users by their names, and what is in a namespace',
  },
  { cases: /discovery/, at: /^body/, reason: 'OpenAPI 3.1, not Swagger 2' },

  // The token service.
  {
    cases: token,
    at: /^body\.(access_token|expires_in|issued_at|token_type|scope)$/,
    quay: /^none$/,
    reason: 'of the token specification',
  },
  { cases: token, at: /^header www-authenticate$/, berth: /^Basic/, reason: 'this is where Basic is taken' },
  {
    cases: /registry:catalog/,
    at: /^status$/,
    quay: /^400$/,
    berth: /^200$/,
    reason: 'clients ask for it: a token without it',
  },
  { cases: /service=elsewhere/, at: /^status$/, berth: /^400$/, reason: 'no tokens for other services' },

  // The registry's own API.
  { cases: /scope=wrong/, at: /^body\.errors\[\]\.code$/, reason: 'INVALID_REQUEST is no code of the specification' },
  {
    cases: v2,
    at: /^body\.errors\[\]\.code$/,
    berth: /^(DIGEST_INVALID|MANIFEST_BLOB_UNKNOWN)$/,
    reason: 'the specification’s code for just that',
  },
  { cases: v2, at: /^body\.errors\[\]\.detail/, reason: 'a detail tells something, or is left out' },
  {
    cases: / GET \/v2\/$/,
    at: /^(body|header www-authenticate)$/,
    reason: 'an empty object, as the specification’s example',
  },
  { cases: v2, at: /^body$/, quay: /^text$/, reason: 'no page, and no OK' },
  { cases: v2, at: /^body\.(error|errors)$/, reason: 'the shape of the specification' },
  { cases: v2, at: /^header www-authenticate$/, berth: /,error="/, reason: 'RFC 6750 tells why' },
  { cases: uploads, at: /^header (range|location)$/, reason: 'the last byte, as the specification has it' },
  { cases: v2, at: /^header (location|link)$/, quay: /^<?\//, berth: /^<?http/, reason: 'a whole URL' },
  { cases: /of another type/, at: /^status$/, quay: /^415$/, berth: /^400$/, reason: 'MANIFEST_INVALID is 400' },
  { cases: /a wrong tag/, at: /^status$/, quay: /^404$/, berth: /^400$/, reason: 'the tag is told to be wrong' },
  { cases: /accepting anything/, at: /^(body|header)/, reason: 'the bytes that were pushed, never schema 1' },
  { cases: /\(ten bytes\)/, at: /^(status|body)/, quay: /^(200|object)$/, reason: 'ranges are served' },
  { cases: /_catalog/, at: /repositories\[\]$/, quay: /^none$/, reason: 'lists what one may read' },
  {
    cases: /^password: GET \/v2\/alice/,
    at: /^status$/,
    quay: /^401$/,
    berth: /^200$/,
    reason: 'Basic is taken everywhere',
  },
]

/** The decision that a difference comes of. */
export function decisionOn(name: string, { at, quay, berth }: Difference): Decision | undefined {
  return decided.find(
    one =>
      (one.cases?.test(name) ?? true) &&
      one.at.test(at) &&
      (one.quay?.test(quay) ?? true) &&
      (one.berth?.test(berth) ?? true),
  )
}
