import * as v from 'valibot'

/** A finite number; results never hold NaN. */
const Figure = v.pipe(v.number(), v.finite())

/** One measured quantity: every sample is kept, so that a reader can compute what we did not. */
export const MetricSchema = v.object({
  /** how it reads on a page */
  title: v.string(),
  /** `fraction`, `ms`, `mse`, ... */
  unit: v.string(),
  better: v.picklist(['higher', 'lower', 'neither']),
  /** one value for a quality figure, many for a timing */
  samples: v.pipe(v.array(Figure), v.minLength(1)),
})

/** A line to draw: one value per step. */
export const CurveSchema = v.object({
  title: v.string(),
  unit: v.string(),
  /** what the steps count, in the singular; training steps by default */
  by: v.exactOptional(v.string()),
  steps: v.array(Figure),
  values: v.array(Figure),
})

/** A picture that the run made; files lie beside the result. */
export const ArtifactSchema = v.object({
  title: v.string(),
  file: v.string(),
  kind: v.picklist(['image']),
  /** whether it shows data that must not be published */
  private: v.boolean(),
})

/** The machine: numbers from different ones are never put in one line. */
export const MachineSchema = v.object({
  cpu: v.string(),
  cores: v.number(),
  memoryGiB: v.number(),
  /** graphics cards, where the system lists any */
  gpus: v.exactOptional(v.array(v.string())),
  os: v.string(),
  arch: v.string(),
})

export const EnvironmentSchema = v.object({
  machine: MachineSchema,
  /** short hash of `machine` */
  machineId: v.string(),
  runtime: v.string(),
  /** what the backend says of itself */
  device: v.record(v.string(), v.unknown()),
  packages: v.record(v.string(), v.string()),
  commit: v.nullable(v.string()),
  /** whether the working tree differed from the commit */
  dirty: v.boolean(),
  /** how many runs went on side by side */
  concurrency: v.number(),
  /** the machine's load average when the run began */
  load: v.number(),
})

/** What was run: (task, method, params, seed, backend) and the code's hash. */
export const RunSpecSchema = v.object({
  task: v.string(),
  family: v.string(),
  method: v.string(),
  params: v.record(v.string(), v.union([v.string(), v.number(), v.boolean(), v.null(), v.array(v.number())])),
  seed: v.number(),
  backend: v.string(),
  quick: v.boolean(),
  /** programs outside this project that were measured in turns with it, such as `torch` */
  peers: v.exactOptional(v.array(v.string())),
  /** hash of the task's code and of the packages it measures */
  version: v.string(),
})

const base = {
  format: v.literal(1),
  /** hash of `run` and the machine: a finished run is stored once under it */
  key: v.string(),
  run: RunSpecSchema,
  environment: EnvironmentSchema,
  startedAt: v.string(),
  seconds: Figure,
}

export const ResultSchema = v.variant('status', [
  v.object({
    ...base,
    status: v.literal('ok'),
    metrics: v.record(v.string(), MetricSchema),
    curves: v.record(v.string(), CurveSchema),
    artifacts: v.array(ArtifactSchema),
    /** facts about the data and the set-up, such as the split and its hash */
    facts: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  }),
  v.object({ ...base, status: v.literal('failed'), error: v.string() }),
  v.object({ ...base, status: v.literal('skipped'), reason: v.string() }),
])

export type Metric = v.InferOutput<typeof MetricSchema>
export type Curve = v.InferOutput<typeof CurveSchema>
export type Artifact = v.InferOutput<typeof ArtifactSchema>
export type Machine = v.InferOutput<typeof MachineSchema>
export type Environment = v.InferOutput<typeof EnvironmentSchema>
export type RunSpec = v.InferOutput<typeof RunSpecSchema>
export type Result = v.InferOutput<typeof ResultSchema>
export type OkResult = Extract<Result, { status: 'ok' }>

/** One published claim beside the figure measured here. */
export const VerdictSchema = v.object({
  id: v.string(),
  /** the claim in a sentence */
  claim: v.string(),
  /** where it was published: arXiv id (our own statements have none), table or section */
  source: v.object({ title: v.string(), arxiv: v.optional(v.string()), where: v.string() }),
  /** what is measured here, and under which conditions */
  measured: v.string(),
  /** the figures, one per seed where there are seeds */
  figures: v.record(v.string(), v.array(Figure)),
  /** the condition that was checked, in words */
  condition: v.string(),
  verdict: v.picklist(['holds', 'does not hold', 'not measured']),
  /** keys of the results that it was read from */
  results: v.array(v.string()),
})
export const ClaimsFileSchema = v.object({
  format: v.literal(1),
  machineId: v.string(),
  verdicts: v.array(VerdictSchema),
})
export type Verdict = v.InferOutput<typeof VerdictSchema>
export type ClaimsFile = v.InferOutput<typeof ClaimsFileSchema>
