import { type Queryable, statement } from './database.ts'
import { startingWith } from './patterns.ts'

/** A label that someone gave to a manifest. */
export interface LabelRow {
  id: string
  key: string
  value: string
  media_type: string
}

const columns = 'id, key, value, media_type'

const list = statement(
  'labels.list',
  `select ${columns} from manifest_labels where manifest_id = $1 and key like $2 order by key, created_at, id limit $3`,
)

/** A manifest's labels whose keys begin so, by key, and those of a key by their age. */
export function listLabels(
  db: Queryable,
  manifest: number,
  { prefix, limit }: { prefix: string; limit: number },
): Promise<LabelRow[]> {
  return db.rows<LabelRow>(list, [manifest, startingWith(prefix), limit])
}

const find = statement('labels.find', `select ${columns} from manifest_labels where manifest_id = $1 and id = $2::uuid`)

export function findLabel(db: Queryable, manifest: number, id: string): Promise<LabelRow | undefined> {
  return db.row<LabelRow>(find, [manifest, id])
}

const add = statement(
  'labels.add',
  `insert into manifest_labels (manifest_id, key, value, media_type)
   select $1::bigint, $2, $3, $4 where (select count(*) from manifest_labels where manifest_id = $1) < $5
   returning ${columns}`,
)

/** @param most labels that a manifest may have, about @returns undefined when it has so many */
export function addLabel(
  db: Queryable,
  manifest: number,
  { key, value, media_type }: Omit<LabelRow, 'id'>,
  { most }: { most: number },
): Promise<LabelRow | undefined> {
  return db.row<LabelRow>(add, [manifest, key, value, media_type, most])
}

const remove = statement('labels.remove', `delete from manifest_labels where manifest_id = $1 and id = $2::uuid`)

/** @returns false when there is no such label */
export async function removeLabel(db: Queryable, manifest: number, id: string): Promise<boolean> {
  return (await db.change(remove, [manifest, id])) > 0
}
