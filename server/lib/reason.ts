/**
 * Why something failed, in one line: the message of an error and those of its causes, as far as they say something
 * new. What was thrown need not be an error.
 */
export function reasonOf(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at !== undefined && parts.length < 5; at = at instanceof Error ? at.cause : undefined) {
    const text = oneOf(at)
    if (text !== '' && !parts.some(part => part.includes(text))) parts.push(text)
  }
  return parts.join(': ') || 'unknown reason'
}

function oneOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // A host with several addresses: Node tried all of them and gathered what went wrong, without a message of its own.
  if (error.message === '' && error instanceof AggregateError) return [...new Set(error.errors.map(oneOf))].join(', ')
  return error.message || error.name
}
