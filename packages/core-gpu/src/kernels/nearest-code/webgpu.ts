import type * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'
import type { CodeMetric } from './nearest-code.ts'

// Rows and codes of a tile, 4 x 4 of its products in the registers of each of 16 x 16 invocations, and the part of d
// that is in workgroup memory at a time.
const tile = 64
const depth = 16
// Enough workgroups to fill a large card.
const wantedWorkgroups = 512
const largestSplits = 64

/**
 * XNearestCode: tiles of products that end in a running minimum, the codes in as many parts as the card needs work for.
 *
 * Floor: 2 N K d operations; 4 (N + K) d + 8 N bytes from and to memory, and through the caches N K d / 8 bytes, since a
 * tile of 64 x 64 reads 128 d numbers. Working memory 4 K + 8 N splits bytes, where splits is at most 64, and 1 from
 * N = 32,768 on.
 */
export const nearestCodeWebgpu: Kernel = ({ x, codebook }, attributes, backend) => {
  const metric = attributes['metric'] as CodeMetric
  const [n, d] = x!.shape as [number, number]
  const k = codebook!.shape[0]!
  const [rowTiles, codeTiles] = [Math.ceil(n / tile), Math.ceil(k / tile)]
  const wanted = Math.min(Math.ceil(wantedWorkgroups / rowTiles), codeTiles, largestSplits)
  const codesOfSplit = Math.ceil(codeTiles / wanted) * tile
  const splits = Math.ceil(k / codesOfSplit)

  const normsOfCodes = makeTensor(backend, [k])
  const scores = makeTensor(backend, [splits, n])
  const candidates = makeTensor(backend, [splits, n], 'int32')
  const [indices, distances] = [makeTensor(backend, [n], 'int32'), makeTensor(backend, [n])]
  runProgram(backend, {
    name: 'nearest code: norms',
    reads: { codebook: codebook! },
    writes: { norms: normsOfCodes },
    sizes: { k, d },
    workgroups: Math.ceil(k / 64),
    workgroupSize: 64,
    main: norms(metric),
  })
  runProgram(backend, {
    name: 'nearest code: scan',
    reads: { x: x!, codebook: codebook!, norms: normsOfCodes },
    writes: { scores, candidates },
    sizes: { n, k, d, splits, codesOfSplit },
    workgroups: rowTiles * splits,
    declarations: scanDeclarations,
    main: scan(metric),
  })
  runProgram(backend, {
    name: 'nearest code: distances',
    reads: { x: { tensor: x!, as: 'u32' }, codebook: codebook!, scores, candidates },
    writes: { indices, distances: { tensor: distances, as: 'u32' } },
    sizes: { n, d, splits },
    workgroups: Math.ceil(n / 64),
    workgroupSize: 64,
    main: merge(metric),
  })
  for (const { dataId } of [normsOfCodes, scores, candidates] as tf.TensorInfo[]) backend.disposeData(dataId)
  return [indices, distances]
}

/** |c|^2 of each code, or 1 / |c|. */
const norms = (metric: CodeMetric): string => `
  let code = group * 64u + lane;
  if (code >= u.k) { return; }
  var sum = 0.0;
  for (var p = 0u; p < u.d; p++) {
    let value = codebook[code * u.d + p];
    sum = fma(value, value, sum);
  }
  norms[code] = ${metric === 'cosine' ? 'select(1.0 / sqrt(sum), 1.0, sum == 0.0)' : 'sum'};`

const scanDeclarations = `
  var<workgroup> rowTile: array<vec4<f32>, ${depth * 16}>; // [depth, rows / 4], later the least scores of each invocation
  var<workgroup> codeTile: array<vec4<f32>, ${depth * 16}>; // [depth, codes / 4]
  var<workgroup> places: array<vec4<u32>, 256>;`

const scan = (metric: CodeMetric): string => `
  let rows = (group / u.splits) * ${tile}u;
  let split = group % u.splits;
  let end = min(u.k, (split + 1u) * u.codesOfSplit);
  let across = lane % 16u; // codes 4 across .. 4 across + 3 of the tile
  let down = lane / 16u; // rows 4 down .. 4 down + 3
  // The largest number stands for infinity, which WGSL does not have.
  var best = vec4<f32>(0x1.fffffep+127f); // of the 4 rows
  var index = vec4<u32>(0u);
  for (var base = split * u.codesOfSplit; base < end; base += ${tile}u) {
    var dot0 = vec4<f32>(); // of the 4 rows with the first of the 4 codes
    var dot1 = vec4<f32>();
    var dot2 = vec4<f32>();
    var dot3 = vec4<f32>();
    for (var start = 0u; start < u.d; start += ${depth}u) {
      var rowPart = vec4<f32>();
      var codePart = vec4<f32>();
      let p = start + across;
      if (p < u.d) {
        for (var i = 0u; i < 4u; i++) {
          let row = rows + down * 4u + i;
          let code = base + down * 4u + i;
          if (row < u.n) { rowPart[i] = x[row * u.d + p]; }
          if (code < end) { codePart[i] = codebook[code * u.d + p]; }
        }
      }
      workgroupBarrier();
      rowTile[across * 16u + down] = rowPart;
      codeTile[across * 16u + down] = codePart;
      workgroupBarrier();
      for (var q = 0u; q < ${depth}u; q++) {
        let a = rowTile[q * 16u + down];
        let b = codeTile[q * 16u + across];
        dot0 = fma(vec4<f32>(b.x), a, dot0);
        dot1 = fma(vec4<f32>(b.y), a, dot1);
        dot2 = fma(vec4<f32>(b.z), a, dot2);
        dot3 = fma(vec4<f32>(b.w), a, dot3);
      }
    }
    let dots = array<vec4<f32>, 4>(dot0, dot1, dot2, dot3);
    for (var j = 0u; j < 4u; j++) {
      let code = base + across * 4u + j;
      if (code < end) {
        // |x| is the same for every code. A score that is NaN is not less.
        let score = ${metric === 'cosine' ? '-norms[code] * dots[j]' : 'norms[code] - 2.0 * dots[j]'};
        let nearer = score < best;
        best = select(best, score, nearer);
        index = select(index, vec4<u32>(code), nearer);
      }
    }
  }
  workgroupBarrier();
  rowTile[lane] = best;
  places[lane] = index;
  for (var width = 8u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (across < width) {
      let other = rowTile[lane + width];
      let place = places[lane + width];
      let nearer = (other < rowTile[lane]) | ((other == rowTile[lane]) & (place < places[lane]));
      rowTile[lane] = select(rowTile[lane], other, nearer);
      places[lane] = select(places[lane], place, nearer);
    }
  }
  if (across == 0u) {
    for (var i = 0u; i < 4u; i++) {
      let row = rows + down * 4u + i;
      if (row < u.n) {
        scores[split * u.n + row] = rowTile[lane][i];
        candidates[split * u.n + row] = i32(places[lane][i]);
      }
    }
  }`

const merge = (metric: CodeMetric): string => `
  let row = group * 64u + lane;
  if (row >= u.n) { return; }
  var best = scores[row];
  var index = candidates[row];
  for (var split = 1u; split < u.splits; split++) {
    let score = scores[split * u.n + row];
    if (score < best) {
      best = score;
      index = candidates[split * u.n + row];
    }
  }
  // |x|^2 - 2 x.c + |c|^2 loses digits where x is close to c, so the distance is taken anew.
  var product = 0.0; ${metric === 'cosine' ? 'var rowSum = 0.0; var codeSum = 0.0;' : ''}
  var broken = false;
  for (var p = 0u; p < u.d; p++) {
    let bits = x[row * u.d + p];
    broken = broken || (bits & 0x7fffffffu) > 0x7f800000u; // NaN
    let a = bitcast<f32>(bits);
    let b = codebook[u32(index) * u.d + p];
    ${
      metric === 'cosine'
        ? `product = fma(a, b, product);
    rowSum = fma(a, a, rowSum);
    codeSum = fma(b, b, codeSum);`
        : 'product = fma(a - b, a - b, product);'
    }
  }
  ${
    metric === 'cosine'
      ? `let lengths = select(sqrt(rowSum), 1.0, rowSum == 0.0) * select(sqrt(codeSum), 1.0, codeSum == 0.0);
  let distance = 1.0 - product / lengths;`
      : 'let distance = product;'
  }
  indices[row] = select(index, -1, broken);
  distances[row] = select(bitcast<u32>(distance), 0x7fc00000u, broken);`
