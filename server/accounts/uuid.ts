const pattern = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/** Whether a text is a UUID: of no other would Postgres say that it has none, but that it is an error. */
export function isUuid(text: string): boolean {
  return pattern.test(text)
}
