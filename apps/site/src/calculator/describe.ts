const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Three digits and a unit. */
export function describeBytes(bytes: number): string {
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${units[power]}`
}

/** What a table of sizes is about. */
export function describeChoice(chosen: {
  readonly model: string
  readonly context: number
  readonly batch: number
  readonly storage: string
}): string {
  const { model, context, batch, storage } = chosen
  const sequences = batch === 1 ? 'one sequence' : `${batch.toLocaleString('en')} sequences`
  return `${model}, ${context.toLocaleString('en')} tokens, ${sequences}, ${storage}`
}
