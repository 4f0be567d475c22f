import type { Database, Queryable } from '../../server/metadata/database.ts'

/** A database that tells which statements were sent to it. */
export interface WatchedDatabase {
  database: Database
  /** The names of the statements since it was asked last. */
  taken(this: void): string[]
}

export function watchStatements(database: Database): WatchedDatabase {
  let names: string[] = []
  const watched = (queryable: Queryable): Queryable => ({
    rows: (statement, values) => {
      names.push(statement.name)
      return queryable.rows(statement, values)
    },
    row: (statement, values) => {
      names.push(statement.name)
      return queryable.row(statement, values)
    },
    change: (statement, values) => {
      names.push(statement.name)
      return queryable.change(statement, values)
    },
  })
  return {
    database: {
      ...watched(database),
      transaction: work => {
        names.push('begin')
        return database.transaction(tx => work(watched(tx)))
      },
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    },
    taken() {
      const found = names
      names = []
      return found
    },
  }
}
