import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * A rival in a comparison of speed: a program that gets ready, says so in one line of JSON
 * (`{"ready": {...}}`, with what it says of itself), then answers each line on its standard input with one round's time
 * (`{"ms": 1.5}`) and ends with the input. One that can't compete here says why, `{"ready": {"skipped": "..."}}`, and is
 * asked for nothing.
 */
export interface Rival {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** what else it is asked for in every round; its samples go under these names */
  readonly also?: readonly string[]
}

export interface InterleaveOptions {
  readonly rounds: number
  /** rounds before the first one that counts; none by default */
  readonly warmUpRounds?: number
  /** ends early, after so many rounds, once so many milliseconds have passed */
  readonly enough?: { readonly rounds: number; readonly milliseconds: number }
  /** lets all rivals get ready at the same time: for those whose first rounds are warm-up anyway */
  readonly startTogether?: boolean
  readonly signal?: AbortSignal
  /** @param round how many are done */
  readonly onRound?: (round: number) => void
}

export interface Interleaved {
  /** milliseconds, one for each round, by rival */
  readonly samples: Record<string, number[]>
  /** what each rival says of itself */
  readonly descriptions: Record<string, Record<string, unknown>>
}

interface Opponent {
  /** what it says of itself, once it is ready */
  readonly ready: Promise<Record<string, unknown>>
  /** @param line what it is asked for */
  ask(line: string): Promise<number>
  end(): void
}

function start({ name, command, args, env }: Rival, signal?: AbortSignal): Opponent {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal && { signal }),
  })
  let complaint = ''
  let broken: Error | undefined
  child.on('error', (error) => (broken = error))
  // A rival that ended early breaks this pipe; its missing answer is the error that counts.
  child.stdin.on('error', () => {})
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-4000)))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async <T>(field: string): Promise<T> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done === true) {
        signal?.throwIfAborted()
        throw new Error(`${name} ended early: ${broken?.message ?? complaint.trim()}`)
      }
      // Libraries print what they like; only our own lines are JSON with that field.
      if (!String(value).startsWith('{')) continue
      const message = JSON.parse(String(value)) as Record<string, T | undefined>
      if (message[field] !== undefined) return message[field]
    }
  }
  return {
    ready: answer<Record<string, unknown>>('ready'),
    ask(line) {
      child.stdin.write(`${line}\n`)
      return answer<number>('ms')
    },
    end() {
      child.stdin.end()
    },
  }
}

/**
 * Measures rivals in processes of their own, one round each in turn, so that whatever else the machine does hits all of
 * them alike.
 * @throws Error when a rival ends early, with what it complained of
 */
export async function interleave(rivals: readonly Rival[], options: InterleaveOptions): Promise<Interleaved> {
  const { rounds, warmUpRounds = 0, enough, signal, onRound } = options
  const opponents: Opponent[] = []
  const descriptions: Record<string, Record<string, unknown>> = {}
  const samples: Record<string, number[]> = {}
  const everyRival = async (visit: (rival: Rival, opponent: Opponent) => Promise<void>): Promise<void> => {
    for (const [index, rival] of rivals.entries()) {
      // One after the other, unless told otherwise: getting ready would disturb the others.
      const opponent = (opponents[index] ??= start(rival, signal))
      await visit(rival, opponent)
    }
  }
  const play = (keep: boolean): Promise<void> =>
    everyRival(async ({ name, also = [] }, opponent) => {
      if (descriptions[name]?.skipped !== undefined) return
      for (const line of ['round', ...also]) {
        signal?.throwIfAborted()
        const ms = await opponent.ask(line)
        if (keep) (samples[line === 'round' ? name : line] ??= []).push(ms)
      }
    })
  try {
    if (options.startTogether === true) {
      opponents.push(...rivals.map((rival) => start(rival, signal)))
      // Each is awaited below; until then an early failure is nobody's yet.
      for (const { ready } of opponents) ready.catch(() => {})
    }
    await everyRival(async ({ name }, { ready }) => void (descriptions[name] = await ready))
    for (let round = 0; round < warmUpRounds; round++) await play(false)
    const begun = performance.now()
    for (let round = 1; round <= rounds; round++) {
      await play(true)
      onRound?.(round)
      if (enough && round >= enough.rounds && performance.now() - begun >= enough.milliseconds) break
    }
  } finally {
    for (const opponent of opponents) opponent.end()
  }
  return { samples, descriptions }
}

/**
 * The rival's side: says that it is ready and answers rounds until its input ends.
 * @param round does one round and returns its milliseconds
 * @param also does what else the rival may be asked for, by name
 */
export async function answerRounds(
  description: Record<string, unknown>,
  round: () => number | Promise<number>,
  also: Readonly<Record<string, () => number | Promise<number>>> = {},
): Promise<void> {
  console.log(JSON.stringify({ ready: description }))
  const answers = { ...also, round }
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = answers[line as keyof typeof answers]
    if (line !== '' && answer === undefined) throw new RangeError(`asked for "${line}"`)
    if (answer !== undefined) console.log(JSON.stringify({ ms: await answer() }))
  }
}
