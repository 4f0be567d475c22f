/**
 * Berth beside Quay: the same calls, as the same kinds of identity, to both.
 *
 *     npm run compare:quay -- QUAY_URL BERTH_URL
 *
 * Both have been started just now and have no user yet; `admin` is to be a superuser who may do everything. In Quay's
 * configuration: FEATURE_USER_INITIALIZE, FEATURE_SUPERUSERS_FULL_ACCESS, FEATURE_USER_METADATA,
 * SUPER_USERS: [admin], and no mail, billing, quota or immutable tags. In Berth's:
 *
 *     auth: {accounts: {initialize: true, usercreation: true, superusers: [admin], superusersfullaccess: true}}
 *     storage: {delete: {enabled: true}}
 *
 * Compared are the status, the headers that clients read, and the fields of the body with their types. Exit code 1 when
 * there is a difference that decided.ts does not have.
 */
import { Command } from 'commander'
import type { Answer } from '../conformance/http.ts'
import type { Case } from './cases/case.ts'
import { cases } from './cases/index.ts'
import { decided, type Decision, decisionOn } from './decided.ts'
import { type Difference, differencesOf } from './differences.ts'
import { createSide, type Side } from './side.ts'

interface Options {
  only?: string
  answers: boolean
}

/** Asks both, one case after the other, and prints what came of it. @returns how many differ and should not */
async function compare(quayUrl: string, berthUrl: string, { only, answers }: Options): Promise<number> {
  const [quay, berth] = [createSide(quayUrl), createSide(berthUrl)]
  const counts = { same: 0, decided: 0, differs: 0 }
  const used = new Map<Decision, number>()
  for (const one of cases) {
    const [fromQuay, fromBerth] = [await attempt(quay, one), await attempt(berth, one)]
    const found = differences(one, { answer: fromQuay, side: quay }, { answer: fromBerth, side: berth })
    const lines = found.map(difference => {
      const decision = decisionOn(one.name, difference)
      if (decision !== undefined) used.set(decision, (used.get(decision) ?? 0) + 1)
      return { difference, decision }
    })
    const kind = lines.length === 0 ? 'same' : lines.every(line => line.decision !== undefined) ? 'decided' : 'differs'
    counts[kind]++
    if (only !== undefined && !one.name.includes(only)) continue
    console.log(`${kind.padEnd(7)}  ${one.name}`)
    for (const { difference, decision } of lines) console.log(`           ${textOf(difference, decision)}`)
    if (answers && kind !== 'same') {
      console.log(`           Quay:  ${shown(fromQuay)}`)
      console.log(`           Berth: ${shown(fromBerth)}`)
    }
  }
  console.log('Decided:')
  for (const [{ reason }, times] of [...used].toSorted(([, one], [, other]) => other - one))
    console.log(`${String(times).padStart(6)}  ${reason}`)
  for (const { at, reason } of decided.filter(one => !used.has(one)))
    console.log(`decided, but does not differ: ${String(at)}: ${reason}`)
  console.log(
    `${cases.length} cases: ${counts.same} the same, ${counts.decided} different as decided, ${counts.differs} different`,
  )
  return counts.differs
}

interface Asked {
  answer: Answer | Error
  side: Side
}

function differences(one: Case, quay: Asked, berth: Asked): Difference[] {
  if (quay.answer instanceof Error || berth.answer instanceof Error)
    return [{ at: 'call', quay: outcomeOf(quay.answer), berth: outcomeOf(berth.answer) }]
  return differencesOf(
    { answer: quay.answer, names: quay.side.names() },
    { answer: berth.answer, names: berth.side.names() },
    one.depth,
  )
}

/** An answer, or why there is none. */
async function attempt(side: Side, one: Case): Promise<Answer | Error> {
  try {
    return await side.ask(one)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function outcomeOf(answer: Answer | Error): string {
  return answer instanceof Error ? answer.message : `answers ${answer.status}`
}

function textOf({ at, quay, berth }: Difference, decision: Decision | undefined): string {
  const what = `${at}: ${quay} in Quay, ${berth} in Berth`
  return decision === undefined ? what : `${what} (${decision.reason})`
}

function shown(answer: Answer | Error): string {
  if (answer instanceof Error) return answer.message
  const text = answer.body.toString().replaceAll(/\s+/g, ' ')
  return `${answer.status} ${text.length > 1000 ? `${text.slice(0, 1000)}…` : text}`
}

await new Command('compare:quay')
  .description('make the same calls to Quay and to Berth, both freshly started and empty, and tell what differs')
  .argument('<quay>', 'URL of Quay, by the name that it knows itself by (SERVER_HOSTNAME)')
  .argument('<berth>', 'URL of Berth')
  .option('--only <words>', 'print the cases that have these words in their names; all are made')
  .option('--answers', 'print both answers where they differ', false)
  .action(async (quay: string, berth: string, options: Options) => {
    process.exitCode = (await compare(quay, berth, options)) === 0 ? 0 : 1
  })
  .parseAsync()
