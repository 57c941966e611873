import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { dataDir } from '@electric-sql/pglite-prepopulatedfs'
import { type ConstructorOptions, fromPglite, PgBoss } from 'pg-boss'
import type { PlannedRun } from './plan.ts'
import { openSharedResults, type SharedResults } from './shared-results.ts'
import { runKey, specKey } from './run-key.ts'

/** A run that was taken from the queue. */
export interface Job {
  readonly run: PlannedRun
  /** says that its result is stored */
  done(): Promise<void>
  /** puts it back for others */
  release(): Promise<void>
}

/** Hands out runs, each to one taker. */
export interface Queue {
  /** the results of all machines, when the queue is shared by several */
  readonly results: SharedResults | undefined
  add(runs: readonly PlannedRun[]): Promise<void>
  /** @param timing whether to take a run that measures speed, or one that does not */
  take(timing: boolean): Promise<Job | undefined>
  close(): Promise<void>
}

/** The longest run; an embedded queue outlives no coordinator, so there it never matters. */
const longestRunSeconds = 6 * 3600
const heartbeatSeconds = 60

/**
 * One queue for each resource and version of the code: a machine takes only what it could have planned itself. Figures
 * of speed come from machines of one specification only.
 */
function queueName({ spec, timing }: PlannedRun, machineId: string): string {
  return `bench.${spec.backend}.${spec.version}${timing ? `.${machineId}` : ''}`
}

function manage(boss: PgBoss, machineId: string, results: SharedResults | undefined): Queue {
  const names = new Map<string, boolean>()
  return {
    results,
    async add(runs) {
      for (const run of runs) {
        const name = queueName(run, machineId)
        if (!names.has(name)) {
          await boss.createQueue(name, {
            policy: 'exclusive',
            retryLimit: 3,
            expireInSeconds: longestRunSeconds,
            ...(results && { heartbeatSeconds }),
          })
          names.set(name, run.timing)
        }
      }
      for (const name of names.keys()) {
        const jobs = runs.filter((run) => queueName(run, machineId) === name)
        await boss.insert(
          name,
          // As text: the database would put parameters in an order of its own.
          jobs.map((run) => ({
            data: { run: JSON.stringify(run) },
            singletonKey: results ? specKey(run.spec) : run.key,
          })),
        )
      }
    },
    async take(timing) {
      for (const [name, timed] of names) {
        if (timed !== timing) continue
        const [job] = await boss.fetch<{ run: string }>(name)
        if (job === undefined) continue
        const { id, data } = job
        const planned = JSON.parse(data.run) as PlannedRun
        const run = { ...planned, key: runKey(planned.spec, machineId) }
        const pulse =
          results && setInterval(() => void boss.touch(name, id).catch(() => {}), (heartbeatSeconds * 1000) / 3)
        const settle = async (how: 'complete' | 'fail'): Promise<void> => {
          clearInterval(pulse)
          await boss[how](name, id)
        }
        return { run, done: () => settle('complete'), release: () => settle('fail') }
      }
      return undefined
    },
    async close() {
      await boss.stop({ graceful: false })
    },
  }
}

async function startBoss(options: ConstructorOptions): Promise<PgBoss> {
  const boss = new PgBoss({ schedule: false, ...options })
  // Without a listener an error of the background maintenance would end the process.
  boss.on('error', (error) => console.error(`queue: ${error.message}`))
  await boss.start()
  return boss
}

/** Unpacks an empty database; a process killed meanwhile leaves no half of one under the final name. */
async function createDatabase(folder: string): Promise<void> {
  const partial = `${folder}.partial`
  for (const old of [partial, folder]) rmSync(old, { recursive: true, force: true })
  const database = await PGlite.create(partial, { loadDataDir: await dataDir() })
  await database.close()
  renameSync(partial, folder)
}

/**
 * Opens the queue of this machine: PostgreSQL in this process, so only one coordinator may have it. Results tell what is
 * finished, so jobs that a killed sweep left behind, waiting or active, are dropped and planned anew.
 * @param folder where the database lies, or shall lie
 */
export async function openEmbeddedQueue(folder: string, machineId: string): Promise<Queue> {
  mkdirSync(dirname(folder), { recursive: true })
  if (!existsSync(folder)) await createDatabase(folder)
  let database: PGlite
  try {
    database = await PGlite.create(folder)
  } catch {
    // It holds nothing that the results don't say: a damaged one is replaced.
    await createDatabase(folder)
    database = await PGlite.create(folder)
  }
  const boss = await startBoss({ db: fromPglite(database), backend: 'pglite', supervise: false })
  await boss.deleteAllJobs()
  const queue = manage(boss, machineId, undefined)
  return {
    ...queue,
    async close() {
      await queue.close()
      await database.close()
    },
  }
}

/**
 * Opens a queue that several machines share; a job whose machine died goes to another one after a minute.
 * @param url of a PostgreSQL database, as in `DATABASE_URL`
 */
export async function openSharedQueue(url: string, machineId: string): Promise<Queue> {
  const boss = await startBoss({ connectionString: url, monitorIntervalSeconds: 30, maintenanceIntervalSeconds: 30 })
  const database = boss.getDb()
  return manage(boss, machineId, await openSharedResults((text, values) => database.executeSql(text, values)))
}
