import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { curvesChart, mostPoints } from '../apps/site/src/charts/curves.ts'
import { spreadOut } from '../apps/site/src/charts/draw.ts'
import { kernelChart } from '../apps/site/src/charts/of-kernels.ts'
import { stripChart } from '../apps/site/src/charts/strip.ts'
import { sweepChart } from '../apps/site/src/charts/sweep.ts'
import { formatFactor, formatParams, formatSummary, formatValue } from '../apps/site/src/measurements/format.ts'
import { kernelGroups, middleOf, ratioOf } from '../apps/site/src/measurements/kernels.ts'
import {
  comparisonsOf,
  type Entry,
  methodId,
  rowsOf,
  standing,
  sweptParameter,
  type TaskDescription,
} from '../apps/site/src/measurements/rows.ts'
import { inksOf, palette, paletteCss, paper } from '../apps/site/src/theme/palette.ts'
import type { Result } from '../benchmarks/src/result.ts'

const blue = { colour: 'var(--method-0)', dash: null }
const red = { colour: 'var(--method-1)', dash: '5 3' }

/** How far right the points of each drawn line are; the axes' ticks are lines of two points. */
function linesIn(svg: string): number[][] {
  const paths = [...svg.matchAll(/ d="M([^"]+)"/g)].map(([, path = '']) => path.split('L'))
  return paths.filter((points) => points.length > 2).map((points) => points.map((point) => Number.parseFloat(point)))
}

describe('charts', () => {
  it('a strip chart has a dot for every value, the best on top, and says its figures', () => {
    const strips = [
      { label: 'VQ', ...blue, values: [0.2, 0.3], mean: 0.25 },
      { label: 'SimVQ', ...red, values: [0.9, 0.98], mean: 0.94 },
    ]
    const svg = stripChart({ title: 'Codes used', unit: 'fraction', better: 'higher', strips })
    expect(svg.match(/<circle/g)).toHaveLength(4)
    expect(svg).toContain('role="img"')
    expect(svg).toContain('aria-label="Codes used, mean by method, highest first: SimVQ 94.0 %, VQ 25.0 %."')
    expect(svg).toContain('var(--method-1)')
    expect(svg.indexOf('>SimVQ<')).toBeLessThan(svg.indexOf('>VQ<'))
  })

  it('curves are thinned to means and every seed has its line', () => {
    const steps = Array.from({ length: 5000 }, (_, step) => step)
    const run = { steps, values: steps.map((step) => 1 / (1 + step)) }
    const svg = curvesChart({
      title: 'Loss',
      unit: 'mse',
      lines: [{ label: 'VQ', ...red, greyed: false, runs: [run, run] }],
    })
    expect(linesIn(svg)).toHaveLength(2)
    for (const points of linesIn(svg)) expect(points.length).toBeLessThanOrEqual(mostPoints)
    expect(svg).toContain('stroke-dasharray="5 3"')
    expect(svg).toContain('VQ ends at')
  })

  it('greyed lines lose their colour', () => {
    const runs = [{ steps: [0, 1], values: [1, 2] }]
    const svg = curvesChart({ title: 'Loss', unit: 'mse', lines: [{ label: 'VQ', ...blue, greyed: true, runs }] })
    expect(svg).not.toContain('--method-0')
  })

  it('a curve by counts says what they count, and halves and doubles them by the same way', () => {
    const runs = [{ steps: [8, 16, 32], values: [3, 2, 1] }]
    const lines = [{ label: 'VQ', ...blue, greyed: false, runs }]
    const svg = curvesChart({ title: 'Error', unit: 'rmse', by: 'step count', lines })
    expect(svg).toContain('Error by step count')
    const [left = 0, middle = 0, right = 0] = linesIn(svg)[0]!
    expect(middle - left).toBeCloseTo(right - middle, 0)
    const levels = [{ ...lines[0]!, runs: [{ steps: [-2, 0, 1], values: [3, 2, 1] }] }]
    const [far = 0, zero = 0, one = 0] = linesIn(
      curvesChart({ title: 'Error', unit: 'mse', by: 'logSNR', lines: levels }),
    )[0]!
    expect(zero - far).toBeCloseTo(2 * (one - zero), 0)
  })

  it('a sweep joins its points in the order of the parameter', () => {
    const points = [256, 64, 1024].map((at) => ({ at, mean: at / 1024, values: [at / 1024] }))
    const svg = sweepChart({ title: 'Codes', unit: 'codes', parameter: 'K', lines: [{ label: 'VQ', ...blue, points }] })
    const [across = []] = linesIn(svg)
    expect(across).toEqual(across.toSorted((a, b) => a - b))
    expect(svg).toContain('at 64')
  })

  it('labels are moved apart, in order, within bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 200, noNaN: true }), { maxLength: 12 }), (places) => {
        const moved = spreadOut(places, 15, 0, 200)
        const order = places.map((_, index) => index).sort((a, b) => places[a]! - places[b]!)
        for (const [rank, index] of order.entries()) {
          expect(moved[index]).toBeGreaterThanOrEqual(-1e-9)
          expect(moved[index]).toBeLessThanOrEqual(200 + 1e-9)
          if (rank > 0) expect(moved[index]! - moved[order[rank - 1]!]!).toBeGreaterThanOrEqual(15 - 1e-9)
        }
      }),
    )
  })
})

describe('figures', () => {
  it('show as many digits as their spread gives meaning to', () => {
    const summary = { title: '', unit: 'mse', better: 'lower' as const, min: 0, max: 0 }
    expect(formatSummary({ ...summary, mean: 0.0143721, standardDeviation: 0.00012, values: [1, 2] })).toEqual({
      mean: '0.01437',
      spread: '0.00012',
    })
    expect(formatSummary({ ...summary, unit: 'fraction', mean: 0.98765, standardDeviation: 0, values: [1] })).toEqual({
      mean: '98.8',
      spread: null,
    })
    expect(formatSummary({ ...summary, mean: 12345.6, standardDeviation: 0.5, values: [1, 2] }).mean).toBe(
      '12\u202f346',
    )
  })

  it('read well at the ends of the range', () => {
    expect(formatValue(0, 'mse')).toBe('0')
    expect(formatValue(1, 'fraction')).toBe('100')
    expect(formatValue(0.00001234, 'mse')).toBe('0.0000123')
    expect(formatFactor(1.234)).toBe('1.23×')
    expect(formatFactor(123.4)).toBe('123×')
    expect(formatParams({ levels: [8, 8, 8], input: 'raw' })).toBe('levels 8×8×8, input raw')
  })
})

const task: TaskDescription = {
  id: 'vq/digits',
  family: 'vq',
  title: 'Digits',
  summary: '',
  methods: { vq: [{ codebookSize: 512 }], simvq: [{ codebookSize: 512 }], fsq: [{ levels: [8, 8] }] },
  backends: ['wasm', 'webgpu'],
  metrics: { usage: { title: 'codes used', unit: 'fraction', better: 'higher' } },
  seeds: 2,
  order: 0,
}

function entry(method: string, seed: number, usage: number | null, machineId = 'a', more: object = {}): Entry {
  const run = { task: 'vq/digits', family: 'vq', method, params: { codebookSize: 512 }, seed, backend: 'wasm' }
  const result = {
    key: `${method}${seed}${machineId}`,
    run: { ...run, quick: false, version: 'v', ...more },
    environment: { machineId },
    ...(usage === null
      ? { status: 'failed', error: 'NaN\n at line 1' }
      : { status: 'ok', metrics: { usage: { ...task.metrics.usage, samples: [usage] } }, curves: {}, artifacts: [] }),
  } as unknown as Result
  return { result, reproduce: '', pictures: [] }
}

describe('rows', () => {
  it('put seeds together and nothing else', () => {
    const entries = [
      entry('vq', 1, 0.4),
      entry('vq', 0, 0.2),
      entry('vq', 0, 0.9, 'b'),
      entry('vq', 5, 0.1, 'a', { quick: true }),
      entry('vq', 6, 0.1, 'a', { version: 'w' }),
    ]
    const rows = rowsOf(task, entries).filter((row) => row.machineId !== null)
    expect(rows.map((row) => [row.machineId, row.quick, row.version, row.seeds])).toEqual([
      ['a', false, 'v', [0, 1]],
      ['a', false, 'w', [6]],
      ['a', true, 'v', [5]],
      ['b', false, 'v', [0]],
    ])
    expect(rows[0]!.metrics.usage!.mean).toBeCloseTo(0.3)
    expect(rows[0]!.method).toBe('vq/vq')
  })

  it('keep failures beside successes, and list what was not run', () => {
    const rows = rowsOf(task, [entry('vq', 0, 0.4), entry('vq', 1, null)])
    expect(rows[0]).toMatchObject({ statuses: ['ok', 'failed'], notes: ['NaN'], seeds: [0] })
    expect(rows.slice(1).map((row) => [row.method, row.backend, row.statuses])).toEqual([
      ['vq/simvq', 'wasm', ['not run']],
      ['vq/fsq', 'wasm', ['not run']],
    ])
  })

  it('name a method by its id, also in a task of another family', () => {
    const known = ['vq/vq', 'vq/simvq', 'attention/mha']
    expect(methodId('vq', 'vq', known)).toBe('vq/vq')
    expect(methodId('core', 'vq', known)).toBe('vq/vq')
    expect(methodId('core', 'matmul', known)).toBe('core/matmul')
    expect(methodId('core', 'vq', [...known, 'attention/vq'])).toBe('core/vq')
    expect(methodId('vq', 'peer/vq', known)).toBe('peer/vq')
  })

  it('are set against the best of their own machine only', () => {
    const rows = rowsOf(task, [entry('vq', 0, 0.4), entry('simvq', 0, 0.8), entry('vq', 0, 0.99, 'b')])
    const comparisons = comparisonsOf(rows)
    const places = rows.filter((row) => row.seeds.length > 0).map((row) => standing(row, 'usage', comparisons))
    expect(places).toEqual([{ best: false, factor: 2 }, { best: true, factor: 1 }, null])
  })

  it('of a sweep are compared at the same setting only', () => {
    const sizes = [64, 512].flatMap((codebookSize) => [
      entry('vq', codebookSize, 64 / codebookSize, 'a', { params: { codebookSize }, seed: 0 }),
      entry('simvq', codebookSize, 0.5, 'a', { params: { codebookSize }, seed: 0 }),
    ])
    const rows = rowsOf(task, sizes).filter((row) => row.seeds.length > 0)
    expect(sweptParameter(rows)).toBe('codebookSize')
    expect(comparisonsOf(rows).map(({ setting, rows }) => [setting.codebookSize, rows.length])).toEqual([
      [64, 2],
      [512, 2],
    ])
  })
})

// Machado, Oliveira and Fernandes 2009, full severity, on linear light.
const sights: Readonly<Record<string, readonly (readonly number[])[]>> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
}

function linear(hex: string): number[] {
  const channels = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
  return channels.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
}

function contrast(a: string, b: string): number {
  const luminance = (hex: string): number => {
    const [r = 0, g = 0, b = 0] = linear(hex)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

function oklab([r = 0, g = 0, b = 0]: readonly number[]): number[] {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ]
}

describe('colours of methods', () => {
  it.each(['light', 'dark'] as const)('stand out from the page and from one another in %s', (theme) => {
    const colours = palette[theme]
    for (const colour of colours) expect(contrast(colour, paper[theme]), colour).toBeGreaterThan(3)
    for (const [name, matrix] of Object.entries(sights)) {
      const seen = colours.map((colour) => {
        const light = linear(colour)
        return oklab(
          matrix.map((row) =>
            Math.min(
              1,
              Math.max(
                0,
                row.reduce((sum, x, i) => sum + x * light[i]!, 0),
              ),
            ),
          ),
        )
      })
      for (const [i, a] of seen.entries())
        for (const [j, b] of seen.slice(0, i).entries())
          expect(Math.hypot(...a.map((x, k) => x - b[k]!)), `${name}: ${colours[i]} and ${colours[j]}`).toBeGreaterThan(
            0.06,
          )
    }
  })

  it('follow the place in the family, come again dashed, and are all defined', () => {
    const many = Array.from({ length: 10 }, (_, index) => `vq/${index}`)
    const inks = inksOf(['diffusion/first', ...many])
    expect(inks.get('diffusion/first')).toEqual(inks.get('vq/0'))
    expect(inks.get('vq/8')!.colour).toBe(inks.get('vq/0')!.colour)
    expect(inks.get('vq/8')!.dash).not.toBe(inks.get('vq/0')!.dash)
    for (const { colour } of inks.values()) expect(paletteCss()).toContain(`${colour.slice(4, -1)}:`)
  })
})

describe('kernels', () => {
  const kernels: TaskDescription = {
    ...task,
    id: 'kernels/matmul',
    family: 'kernels',
    methods: { plain: [{ m: 8 }, { m: 512 }], batched: [{ m: 8 }] },
    backends: ['wasm', 'tensorflow'],
    leftOut: [{ method: 'batched', params: { m: 8 }, backend: 'tensorflow' }],
  }
  const measured = (m: number, backend: string, facts: Record<string, number>): Entry => {
    const run = { task: 'kernels/matmul', family: 'kernels', method: 'plain', params: { m }, seed: 0, backend }
    const metric = { title: 'ours', unit: 'ms', better: 'lower' as const, samples: [1, 2, 9, 4] }
    const result = {
      run: { ...run, quick: false, version: 'v1' },
      environment: { machineId: 'aaaa1111' },
      status: 'ok',
      metrics: { own: metric },
      facts,
    }
    return { result: result as unknown as Result, reproduce: '', pictures: [] }
  }
  const facts = { speedupMedian: 16, speedupLow: 8, speedupHigh: 20 }
  const both = { ...facts, torchRatioMedian: 0.5, torchRatioLow: 0.25, torchRatioHigh: 2 }
  const rows = rowsOf(kernels, [measured(8, 'wasm', facts), measured(512, 'wasm', both), measured(8, 'tensorflow', {})])

  it('are missing only where their task asks for them', () => {
    const missing = rows.filter(({ machineId }) => machineId === null)
    expect(missing.map(({ method, params, backend }) => [method, params.m, backend])).toEqual([
      ['kernels/plain', 512, 'tensorflow'],
      ['kernels/batched', 8, 'wasm'],
    ])
  })

  it('are drawn in our time, PyTorch turned round', () => {
    const groups = kernelGroups(rows.filter(({ machineId }) => machineId !== null))
    expect(groups.map(({ backend, rows }) => [backend, rows.length])).toEqual([
      ['tensorflow', 1],
      ['wasm', 2],
    ])
    expect(kernelChart(groups[0]!.rows)).toEqual([])
    const [chart] = kernelChart(groups[1]!.rows)
    expect(chart?.svg).toContain(
      'aria-label="Their time, ours is 1. plain, m 8: TensorFlow.js 16.0×; plain, m 512: TensorFlow.js 16.0×, PyTorch 2.00×."',
    )
    // Three medians and two in the legend.
    expect(chart?.svg.match(/<circle/g)).toHaveLength(5)
  })

  it('have middles and intervals only where they were measured', () => {
    const first = rows.find(({ backend }) => backend === 'wasm')
    expect(middleOf(first!, 'own')).toBe(3)
    expect(middleOf(first!, 'torch')).toBeNull()
    expect(ratioOf(first!, 'speedup')).toEqual({ median: 16, low: 8, high: 20 })
    expect(ratioOf(first!, 'torchRatio')).toBeNull()
  })
})
