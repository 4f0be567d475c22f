/** Patterns of `like` for texts that someone typed: no character of them means anything but itself. */

function literal(text: string): string {
  return text.replaceAll(/[\\%_]/g, '\\$&')
}

export function containing(text: string): string {
  return `%${literal(text)}%`
}

export function startingWith(text: string): string {
  return `${literal(text)}%`
}
