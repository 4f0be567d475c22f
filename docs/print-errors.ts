/**
 * Prints docs/errors.md:
 *
 *     node docs/print-errors.ts > docs/errors.md
 */
import { errorTable } from '../server/oci/errors.ts'

const rows = errorTable().map(
  ({ code, status, also, message, when }) => `| \`${code}\` | ${[status, ...also].join(', ')} | ${message} | ${when} |`,
)

process.stdout.write(`# Errors

<!-- Printed by docs/print-errors.ts from the table in server/oci/errors.ts: change that, then print this anew. -->

The API below \`/v2/\` answers errors as the OCI distribution specification has it (section "Error Codes"):

    {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown to this repository","detail":{"tag":"v1"}}]}

\`code\` is for programs, \`message\` for people and often more exact than here; \`detail\` names what it is about, and may
be missing. One request can have several entries. The first status is the usual one. The last three codes are Berth's
own: the specification leaves the bodies of 5xx answers free.

| Code | Status | Message | When |
|---|---|---|---|
${rows.join('\n')}
`)
