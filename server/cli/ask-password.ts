import { text } from 'node:stream/consumers'
import { password as prompt } from '@inquirer/prompts'
import { checkPassword } from '../accounts/names.ts'
import { reasonOf } from '../lib/reason.ts'

/**
 * A new password: typed twice without being shown, or, for scripts, all of the standard input but a line end behind it.
 * @throws Error for a password that can't be taken, without a terminal, and when the person gives up
 */
export async function askNewPassword({ stdin }: { stdin: boolean }): Promise<string> {
  if (stdin) return readPassword()
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new Error('there is no terminal to ask for the password at: give it by --password-stdin')
  // The standard output is for what the command has to say.
  const context = { output: process.stderr }
  const ask = (message: string, validate: (text: string) => true | string) =>
    prompt({ message, mask: true, validate }, context).catch((error: unknown) => {
      const isGivenUp = error instanceof Error && error.name === 'ExitPromptError'
      throw isGivenUp ? new Error('given up; nothing was changed') : error
    })
  const first = await ask('New password:', faultOf)
  await ask('The same again:', again => again === first || 'The two are not the same.')
  return first
}

async function readPassword(): Promise<string> {
  if (process.stdin.isTTY)
    process.stderr.write('Type the password, then Ctrl-D (it is shown: without --password-stdin it is not)\n')
  const password = (await text(process.stdin)).replace(/\r?\n$/, '')
  checkPassword(password)
  return password
}

function faultOf(password: string): true | string {
  try {
    checkPassword(password)
    return true
  } catch (error) {
    return reasonOf(error)
  }
}
