import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from './registry.ts'
import { makeTensor, runProgram } from './webgpu-program.ts'

/** Which elements are standardised together: a row, or a group of channels over all positions of a sample. */
interface Sets {
  readonly samples: number
  readonly positions: number
  readonly groups: number
  /** channels of a group */
  readonly channels: number
}

/** Whether the mean is taken away before the division by the root mean square. */
type Kind = 'deviation' | 'rootMeanSquare'

// The most workgroups that share the rows of one block of 64 channels.
const largestSlabs = 64
const leastRows = 64

function setsOf(x: tf.TensorInfo, groups: number | undefined): Sets {
  const features = x.shape.at(-1)!
  if (groups === undefined)
    return { samples: tf.util.sizeFromShape(x.shape) / features, positions: 1, groups: 1, channels: features }
  const positions = tf.util.sizeFromShape(x.shape.slice(1, -1))
  return { samples: x.shape[0]!, positions, groups, channels: features / groups }
}

/**
 * XLayerNorm, XGroupNorm and, by the root mean square alone, XRmsNorm: a workgroup for each set of elements.
 *
 * Floor: 8 operations (4 for the root mean square) and 8 bytes moved for each element; it is read three times (twice), of
 * which all but the first from the caches where a set is small.
 */
export function normWebgpu(kind: Kind): Kernel {
  return ({ x, scale, offset }, attributes, backend) => {
    const sets = setsOf(x!, attributes['groups'] as number | undefined)
    const lanes = lanesFor(sets)
    const y = makeTensor(backend, x!.shape)
    const statistics = statisticsShape(x!, sets, attributes)
    const mean = kind === 'deviation' ? makeTensor(backend, statistics) : null
    const inverse = makeTensor(backend, statistics)
    runProgram(backend, {
      name: 'norm',
      reads: { x: x!, ...(scale && { scale }), ...(offset && { offset }) },
      writes: { y, ...(mean && { mean }), inverse },
      sizes: { ...sets },
      numbers: { epsilon: attributes['epsilon'] as number },
      workgroups: sets.samples * sets.groups,
      workgroupSize: lanes,
      declarations: setDeclarations(lanes),
      main: `
        ${setPlace}
        ${
          kind === 'deviation'
            ? `var sum = 0.0;
        for (var e = lane; e < size; e += ${lanes}u) { sum += x[place(e, base)]; }
        let center = total(sum, lane) / f32(size);`
            : ''
        }
        var squares = 0.0;
        for (var e = lane; e < size; e += ${lanes}u) {
          let value = x[place(e, base)]${mean ? ' - center' : ''};
          squares = fma(value, value, squares);
        }
        let factor = inverseSqrt(total(squares, lane) / f32(size) + u.epsilon);
        for (var e = lane; e < size; e += ${lanes}u) {
          let at = place(e, base);
          let channel = first + e % u.channels;
          let value = (x[at]${mean ? ' - center' : ''}) * factor;
          y[at] = value${scale ? ' * scale[channel]' : ''}${offset ? ' + offset[channel]' : ''};
        }
        if (lane == 0u) {
          ${mean ? 'mean[group] = center;' : ''}
          inverse[group] = factor;
        }`,
    })
    return mean ? [y, mean, inverse] : [y, inverse]
  }
}

/** Invocations for a set: some 4 elements each. */
function lanesFor({ positions, channels }: Sets): number {
  return Math.min(256, Math.max(32, 2 ** Math.ceil(Math.log2((positions * channels) / 4))))
}

function statisticsShape(x: tf.TensorInfo, { samples, groups }: Sets, attributes: Record<string, unknown>): number[] {
  return attributes['groups'] === undefined ? [samples] : [x.shape[0]!, groups]
}

/**
 * The gradients of those: a workgroup for each set for dx; for dScale and dOffset sums over rows in blocks of 64 channels,
 * in a fixed order.
 *
 * Floor: 13 operations and 12 bytes moved for each element, and with parameters 5 and 8 more, for a second pass over x
 * and dy.
 */
export function normGradientWebgpu(kind: Kind): Kernel {
  return ({ x, dy, mean, inverseDeviation, inverseRms, scale }, attributes, backend) => {
    const sets = setsOf(x!, attributes['groups'] as number | undefined)
    const reads = { x: x!, dy: dy!, ...(mean && { mean }), inverse: (inverseDeviation ?? inverseRms)! }
    const normalised = (at: string, index: string): string =>
      `(x[${at}]${mean ? ` - mean[${index}]` : ''}) * inverse[${index}]`
    const lanes = lanesFor(sets)
    const dx = makeTensor(backend, x!.shape)
    runProgram(backend, {
      name: 'norm gradient',
      reads: { ...reads, ...(scale && { scale }) },
      writes: { dx },
      sizes: { ...sets },
      workgroups: sets.samples * sets.groups,
      workgroupSize: lanes,
      declarations: setDeclarations(lanes),
      main: `
        ${setPlace}
        var sum = 0.0;
        var product = 0.0;
        for (var e = lane; e < size; e += ${lanes}u) {
          let at = place(e, base);
          let upstream = dy[at]${scale ? ' * scale[first + e % u.channels]' : ''};
          sum += upstream;
          product = fma(upstream, ${normalised('at', 'group')}, product);
        }
        ${kind === 'deviation' ? 'let shift = total(sum, lane) / f32(size);' : ''}
        let along = total(product, lane) / f32(size);
        for (var e = lane; e < size; e += ${lanes}u) {
          let at = place(e, base);
          let upstream = dy[at]${scale ? ' * scale[first + e % u.channels]' : ''};
          let value = ${normalised('at', 'group')};
          dx[at] = inverse[group] * (upstream${kind === 'deviation' ? ' - shift' : ''} - value * along);
        }`,
    })
    if (attributes['affine'] !== true) return [dx]

    const features = sets.groups * sets.channels
    const rows = sets.samples * sets.positions
    const blocks = Math.ceil(features / 64)
    const slabs = Math.min(Math.ceil(rows / leastRows), largestSlabs)
    const names = kind === 'deviation' ? ['dScale', 'dOffset'] : ['dScale']
    const gradients = names.map(() => makeTensor(backend, [features]))
    const parts = slabs === 1 ? gradients : names.map(() => makeTensor(backend, [slabs, features]))
    const byName = (tensors: tf.TensorInfo[]): Record<string, tf.TensorInfo> =>
      Object.fromEntries(names.map((name, i) => [name, tensors[i]!]))
    runProgram(backend, {
      name: 'norm gradient: parameters',
      reads,
      writes: byName(parts),
      sizes: { ...sets, features, rows, slabs, rowsOfSlab: Math.ceil(rows / slabs) },
      workgroups: blocks * slabs,
      declarations: 'var<workgroup> sums: array<vec2<f32>, 256>;',
      main: `
        let slab = group % u.slabs;
        let channel = (group / u.slabs) * 64u + lane % 64u;
        var sum = vec2<f32>();
        if (channel < u.features) {
          let end = min(u.rows, (slab + 1u) * u.rowsOfSlab);
          for (var row = slab * u.rowsOfSlab + lane / 64u; row < end; row += 4u) {
            let at = row * u.features + channel;
            let member = row / u.positions * u.groups + channel / u.channels;
            sum += dy[at] * vec2<f32>(${normalised('at', 'member')}, 1.0);
          }
        }
        sums[lane] = sum;
        workgroupBarrier();
        if (lane < 64u && channel < u.features) {
          sum = sums[lane] + sums[lane + 64u] + sums[lane + 128u] + sums[lane + 192u];
          ${names.map((name, i) => `${name}[slab * u.features + channel] = sum[${i}];`).join('\n')}
        }`,
    })
    if (slabs > 1) {
      runProgram(backend, {
        name: 'norm gradient: slabs',
        reads: Object.fromEntries(parts.map((part, i) => [`part${i}`, part])),
        writes: byName(gradients),
        sizes: { features, slabs },
        workgroups: Math.ceil(features / 256),
        main: `
          let channel = group * 256u + lane;
          if (channel >= u.features) { return; }
          ${names
            .map(
              (name, i) => `
          var sum${i} = 0.0;
          for (var slab = 0u; slab < u.slabs; slab++) { sum${i} += part${i}[slab * u.features + channel]; }
          ${name}[channel] = sum${i};`,
            )
            .join('')}`,
      })
      for (const { dataId } of parts) backend.disposeData(dataId)
    }
    return [dx, ...gradients]
  }
}

const setDeclarations = (lanes: number): string => `
  var<workgroup> sums: array<f32, ${lanes}>;

  // The sum over the invocations of a workgroup, for each of them.
  fn total(value: f32, lane: u32) -> f32 {
    workgroupBarrier();
    sums[lane] = value;
    for (var width = ${lanes / 2}u; width > 0u; width /= 2u) {
      workgroupBarrier();
      if (lane < width) { sums[lane] += sums[lane + width]; }
    }
    workgroupBarrier();
    return sums[0];
  }

  // Where element e of a set is.
  fn place(e: u32, base: u32) -> u32 {
    return base + e / u.channels * (u.groups * u.channels) + e % u.channels;
  }`

const setPlace = `
  let first = group % u.groups * u.channels; // channel
  let base = group / u.groups * u.positions * u.groups * u.channels + first;
  let size = u.positions * u.channels;`
