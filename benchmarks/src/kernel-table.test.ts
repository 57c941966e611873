import { expect, it } from 'vitest'
import { exampleResult, failedResult } from './example-result.fixture.ts'
import { describeKernels, isKernelResult } from './kernel-table.ts'

const run = {
  task: 'kernels/matmul',
  family: 'kernels',
  method: 'plain',
  params: { m: 8, k: 8, n: 8 },
  backend: 'wasm',
}
const metric = (
  samples: number[],
  unit = 'ratio',
): { title: string; unit: string; better: 'lower'; samples: number[] } => ({
  title: '',
  unit,
  better: 'lower',
  samples,
})
const measured = exampleResult(run, {
  metrics: {
    own: metric([2, 3, 4], 'ms'),
    rate: metric([33.333], 'GFLOP/s'),
    share: metric([0.256], 'fraction'),
    speedup: metric([15.21, 15.31, 99]),
    memory: metric([4.2], 'MB'),
  },
  facts: { speedupLow: 15.21, speedupHigh: 98.76 },
})

it('shows medians, ratios with their intervals, and what is missing', () => {
  const [title, head, , row] = describeKernels([measured, failedResult(run), exampleResult()]).split('\n')
  expect(title).toBe('kernels')
  expect(head).toMatch(/^kernel +size +backend +threads +ours \[ms\] +rate +of peak +stock \/ ours +ours \/ torch/)
  expect(row?.split(/ {2,}/)).toEqual([
    'matmul plain',
    'm 8, k 8, n 8',
    'wasm',
    '-',
    '3',
    '33.3 GFLOP/s',
    '26 %',
    '15.3 (15.2-98.8)',
    '-',
    '4.2',
    '-',
  ])
})

it('is empty without kernels, and marks quick runs', () => {
  expect(isKernelResult(measured)).toBe(true)
  expect(describeKernels([exampleResult()])).toBe('')
  const quick = { ...measured, run: { ...measured.run, quick: true } }
  expect(describeKernels([quick])).toMatch(/^kernels \(quick: not for quoting\)\n/)
})
