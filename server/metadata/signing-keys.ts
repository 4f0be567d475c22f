import { type Queryable, statement } from './database.ts'

export interface SigningKeyRow {
  id: string
  algorithm: string
  /** A JWK. */
  public_key: Record<string, unknown>
  /** Encrypted. */
  private_key: Buffer
  signs_until: Date
  expires_at: Date
}

const columns = 'id, algorithm, public_key, private_key, signs_until, expires_at'

const newest = statement(
  'signing_keys.newest',
  `select ${columns} from signing_keys
    where algorithm = $1 and signs_until > now() order by signs_until desc, id limit 1`,
)

/** The key to sign with, if there is one that is young enough. */
export function findNewestKey(db: Queryable, algorithm: string): Promise<SigningKeyRow | undefined> {
  return db.row<SigningKeyRow>(newest, [algorithm])
}

const list = statement(
  'signing_keys.list',
  `select ${columns} from signing_keys where expires_at > now() order by expires_at desc limit 1000`,
)

/** Every key that tokens can have been signed with that are still good for anything: one for each of the last days. */
export function listKeys(db: Queryable): Promise<SigningKeyRow[]> {
  return db.rows<SigningKeyRow>(list)
}

const insert = statement(
  'signing_keys.insert',
  `with over as (delete from signing_keys where expires_at <= now())
   insert into signing_keys (id, algorithm, public_key, private_key, signs_until, expires_at)
   values ($1, $2, $3, $4, $5, $6)`,
)

/** Adds a key, and takes away those that no token can be signed with any more. */
export async function insertKey(db: Queryable, key: SigningKeyRow): Promise<void> {
  const { id, algorithm, public_key, private_key, signs_until, expires_at } = key
  await db.change(insert, [id, algorithm, JSON.stringify(public_key), private_key, signs_until, expires_at])
}
