import type { Outcome } from './steps.ts'

/** A client's line in the table of results. */
export interface Row {
  client: string
  version: string
  /** By face: `http`, `TLS`. */
  outcomes: Record<string, Outcome>
}

/** The table of results, in Markdown. */
export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ client, version, outcomes }) => {
    const seen = new Set(Object.values(outcomes).flatMap(outcome => outcome.seen))
    return [client, version, count(outcomes['http']), count(outcomes['TLS']), [...seen].join('; ')]
  })
  const lines = [['client', 'version', 'http', 'TLS', 'what was seen'], Array<string>(5).fill('---'), ...cells]
  return lines.map(line => `| ${line.join(' | ')} |\n`).join('')
}

/** The page that holds the table. */
export function page(rows: readonly Row[]): string {
  return `# Clients

Written by \`npm run conformance:clients -- --write-docs\`, which drives each of these clients against Berth, over plain
http and over TLS with a certificate of a private authority that the client was told to trust. A number is that of the
steps that went well, of all that were taken: Debian and the layer of 1 GiB go one of the two ways, skopeo's go both.

${tableOf(rows)}`
}

function count(outcome: Outcome | undefined): string {
  if (outcome === undefined) return 'not run'
  return `${outcome.passed} of ${outcome.passed + outcome.failed}`
}
