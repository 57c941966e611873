import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * A rival in a comparison of speed: a program that gets ready, says so in one line of JSON
 * (`{"ready": {...}}`, with what it says of itself), then answers each line on its standard input with one round's time
 * (`{"ms": 1.5}`) and ends with the input.
 */
export interface Rival {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface InterleaveOptions {
  readonly rounds: number
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
  readonly description: Record<string, unknown>
  round(): Promise<number>
  end(): void
}

async function start({ name, command, args, env }: Rival, signal?: AbortSignal): Promise<Opponent> {
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
  const description = await answer<Record<string, unknown>>('ready')
  return {
    description,
    round() {
      child.stdin.write('round\n')
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
  const { rounds, signal, onRound } = options
  const opponents: [string, Opponent][] = []
  const samples: Record<string, number[]> = Object.fromEntries(rivals.map(({ name }) => [name, []]))
  try {
    // One after the other: getting ready would disturb the others.
    for (const rival of rivals) opponents.push([rival.name, await start(rival, signal)])
    for (let round = 1; round <= rounds; round++) {
      for (const [name, opponent] of opponents) {
        signal?.throwIfAborted()
        samples[name]?.push(await opponent.round())
      }
      onRound?.(round)
    }
  } finally {
    for (const [, opponent] of opponents) opponent.end()
  }
  return { samples, descriptions: Object.fromEntries(opponents.map(([name, { description }]) => [name, description])) }
}

/**
 * The rival's side: says that it is ready and answers rounds until its input ends.
 * @param round does one round and returns its milliseconds
 */
export async function answerRounds(
  description: Record<string, unknown>,
  round: () => number | Promise<number>,
): Promise<void> {
  console.log(JSON.stringify({ ready: description }))
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== '') console.log(JSON.stringify({ ms: await round() }))
  }
}
