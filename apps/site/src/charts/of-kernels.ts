import { kernelLabel, type Ratio, ratioOf } from '../measurements/kernels.ts'
import type { Row } from '../measurements/rows.ts'
import type { Drawn } from './draw.ts'
import { ratioChart } from './ratios.ts'

/** How the rivals are drawn, the same in all charts of kernels. */
const rivals = [
  { name: 'TensorFlow.js', colour: 'var(--method-0)' },
  { name: 'PyTorch', colour: 'var(--method-1)' },
] as const

function inverse({ median, low, high }: Ratio): Ratio {
  return { median: 1 / median, low: 1 / high, high: 1 / low }
}

/** One chart of how long the rivals take, measured in our time; none where no rival was measured. */
export function kernelChart(rows: readonly Row[]): Drawn[] {
  const lines = rows.flatMap((row) => {
    const torch = ratioOf(row, 'torchRatio')
    const ratios = [ratioOf(row, 'speedup'), torch && inverse(torch)]
    const marks = rivals.flatMap((rival, index) => {
      const ratio = ratios[index]
      return ratio ? [{ ...rival, ...ratio }] : []
    })
    return marks.length > 0 ? [{ label: kernelLabel(row, rows), marks }] : []
  })
  if (lines.length === 0) return []
  const title = 'Their time, ours is 1'
  const note = 'medians with 95 % intervals, first TensorFlow.js, then PyTorch; to the right of 1 we are faster'
  return [{ name: 'ratios', title, note, svg: ratioChart({ title, rivals, lines }) }]
}
