import { compareSync, hashSync } from 'bcryptjs'

/** What a thread for passwords is asked. */
export type PasswordOrder =
  | { kind: 'hash'; password: string; cost: number }
  | { kind: 'compare'; password: string; hash: string }

/** @returns the hash, or whether the password has it; a text that is no bcrypt hash is that of no password */
export function work(order: PasswordOrder): string | boolean {
  if (order.kind === 'hash') return hashSync(order.password, order.cost)
  try {
    return compareSync(order.password, order.hash)
  } catch {
    return false
  }
}
