import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'
import type { AttendGradientInputs } from './attend.ts'
import { type AttendAttributes, attendSizes } from './contract.ts'
import {
  addWeighted,
  attendNumbers,
  attendUniforms,
  declareSums,
  each,
  lanes,
  products,
  scoreDeclarations,
  screenOf,
  storeSums,
  type Tile,
  widthOf,
} from './webgpu-tiles.ts'

const tile: Tile = { down: 8, across: 8 } // 32 x 32
const rowsOfTile = 4 * tile.down

/**
 * XAttendGradient: one kernel owns tiles of queries, for dq, another one tiles of keys, for dk and dv, and both compute
 * the scores anew (arXiv 2307.08691). No atomics on numbers, so the bits are the same every time.
 *
 * A bias's gradient takes a third pass over all scores, one invocation for each of its elements.
 *
 * Floor: 2 B h L S (4 d + 3 dv) operations, half of it where causal; bytes moved 4 (3 d + 3 dv) (B h L + B g S) and, from
 * the caches, the other side once for each tile of 32; working memory 8 B h L bytes.
 */
export const attendGradientWebgpu: Kernel = (tensors, numbers, backend) => {
  const inputs = tensors as unknown as AttendGradientInputs
  const attributes = numbers as unknown as AttendAttributes
  const { q, k, v, bias, sinks, output, logSumExp, dOutput, dLogSumExp } = inputs
  const sizes = attendSizes(q, k, v)
  const { batch, heads, groups, queries, keys, width, valueWidth } = sizes
  const allRows = batch * heads * queries

  const rows = makeTensor(backend, [allRows, 2])
  runProgram(backend, {
    name: 'attend gradient: rows',
    reads: { output, dOutput, logSumExp: { tensor: logSumExp, as: 'u32' }, ...(dLogSumExp && { dLogSumExp }) },
    writes: { rows: { tensor: rows, as: 'vec2<f32>' } },
    sizes: { allRows, valueWidth },
    workgroups: Math.ceil(allRows / 64),
    workgroupSize: 64,
    main: rowStatistics(dLogSumExp !== undefined),
  })

  const screen = screenOf(inputs)
  const reads = { q, k, v, dOutput, rows: { tensor: rows, as: 'vec2<f32>' }, ...(screen && { screen: screen.tensor }) }
  const common = {
    reads,
    numbers: attendNumbers(attributes),
    workgroupSize: lanes,
    declarations: scoreDeclarations(tile, attributes, screen),
  }
  const sizesOf = attendUniforms(sizes, attributes, screen)
  const hasScreen = screen !== null
  const hasCap = attributes.softcap > 0
  const dq = makeTensor(backend, q.shape)
  const rowTiles = Math.ceil(((heads / groups) * queries) / rowsOfTile)
  runProgram(backend, {
    ...common,
    name: 'attend gradient: queries',
    writes: { dq },
    sizes: { ...sizesOf, rowTiles },
    workgroups: batch * groups * rowTiles,
    main: queryGradient(width, hasScreen, hasCap),
  })
  const [dk, dv] = [makeTensor(backend, k.shape), makeTensor(backend, v.shape)]
  const keyTiles = Math.ceil(keys / rowsOfTile)
  runProgram(backend, {
    ...common,
    name: 'attend gradient: keys',
    writes: { dk, dv },
    sizes: { ...sizesOf, keyTiles },
    workgroups: batch * groups * keyTiles,
    main: keyGradient(width, valueWidth, hasScreen, hasCap),
  })
  const gradients = [dq, dk, dv]

  if (bias) {
    const dBias = makeTensor(backend, bias.shape)
    const [biasBatch, biasHeads, biasQueries, biasKeys] = bias.shape
    runProgram(backend, {
      ...common,
      name: 'attend gradient: bias',
      writes: { dBias },
      sizes: { ...sizesOf, batch, heads, biasBatch, biasHeads, biasQueries, biasKeys },
      workgroups: Math.ceil(bias.size / lanes),
      main: biasGradient,
    })
    gradients.push(dBias)
  }
  if (sinks) {
    const dSinks = makeTensor(backend, sinks.shape)
    runProgram(backend, {
      name: 'attend gradient: sinks',
      reads: { sinks, rows: { tensor: rows, as: 'vec2<f32>' } },
      writes: { dSinks },
      sizes: { heads, queries, rowsOfHead: batch * queries },
      workgroups: heads,
      declarations: 'var<workgroup> sums: array<f32, 256>;',
      main: sinkGradient,
    })
    gradients.push(dSinks)
  }
  if (screen?.owned) screen.tensor.dispose()
  backend.disposeData(rows.dataId)
  return gradients
}

/** Of each row the log-sum-exp, so large where nothing was seen that all weights are 0, and d logSumExp - dO . o. */
const rowStatistics = (hasSums: boolean): string => `
  let row = group * 64u + lane;
  if (row >= u.allRows) { return; }
  var delta = ${hasSums ? 'dLogSumExp[row]' : '0.0'};
  for (var p = row * u.valueWidth; p < (row + 1u) * u.valueWidth; p++) { delta = fma(-dOutput[p], output[p], delta); }
  let bits = logSumExp[row];
  rows[row] = vec2<f32>(select(bitcast<f32>(bits), 3e38, bits == 0xff800000u), delta);`

/** WGSL of weight${j} and gradient${j}, from dot${j} and up${j}. */
const weigh = (
  j: number,
  logSum: string,
  delta: string,
  distances: string,
  exist: string,
  at: string,
  hasCap: boolean,
): string => `
    let capped${j} = capped(dot${j});
    let score${j} = shown(capped${j}, ${distances}, ${exist}, ${at});
    let weight${j} = select(vec4<f32>(), exp(score${j} - ${logSum}), score${j} > vec4<f32>(shownFrom));
    let gradient${j} = weight${j} * (up${j} + ${delta}) * u.scale${
      hasCap ? ` * (1.0 - capped${j} * capped${j} / (u.softcap * u.softcap))` : ''
    };`

const storeWeights = (name: string): string =>
  each(
    4,
    (j) => `weights[((lane % ${tile.across}u) * 4u + ${j}u) * ${tile.down}u + lane / ${tile.across}u] = ${name}${j};`,
  ).join('\n')

function queryGradient(width: number, hasScreen: boolean, hasCap: boolean): string {
  const sums = widthOf('u.width', width, tile, false)
  const own = { at: 'ownAt', count: 'ownCount' }
  const other = { at: 'keyAt + u32(base)', count: 'count' }
  const across = tile.across
  return `
  let batchGroup = group / u.rowTiles;
  let rowsOfGroup = u.perGroup * u.queries;
  let first = (group % u.rowTiles) * ${rowsOfTile}u;
  let ownCount = min(${rowsOfTile}u, rowsOfGroup - first);
  let ownAt = batchGroup * rowsOfGroup + first;
  let keyAt = batchGroup * u.keys;
  let offset = i32(u.keys) - i32(u.queries);
  var least = i32(first % u.queries);
  var most = least + i32(ownCount) - 1;
  if (most >= i32(u.queries)) { least = 0; most = i32(u.queries) - 1; } // more than one head
  let firstKey = max(0, least + offset - i32(u.left));
  let lastKey = min(i32(u.keys), most + offset + i32(u.right) + 1);

  let row = vec4<u32>(first + (lane / ${across}u) * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  let position = vec4<i32>(row % u.queries) + vec4<i32>(offset);
  ${
    hasScreen
      ? `let head = vec4<u32>((batchGroup % u.groups) * u.perGroup) + row / u.queries;
  let screenAt = vec4<u32>(batchGroup / u.groups * u.screen0) + head * u.screen1 + (row % u.queries) * u.screen2;`
      : ''
  }
  ${each(4, (c) => `let known${c} = rows[batchGroup * rowsOfGroup + min(row[${c}], rowsOfGroup - 1u)];`).join('\n')}
  let logSum = vec4<f32>(known0.x, known1.x, known2.x, known3.x);
  let delta = vec4<f32>(known0.y, known1.y, known2.y, known3.y);
  ${declareSums('sum', sums.passes)}
  for (var base = firstKey; base < lastKey; base += ${4 * across}) {
    let count = u32(min(${4 * across}, lastKey - base));
    ${products(tile, ['dot', 'q', 'k'], 'u.width', own, other)}
    ${products(tile, ['up', 'dOutput', 'v'], 'u.valueWidth', own, other)}
    ${each(
      4,
      (j) => `
    let key${j} = base + i32((lane % ${across}u) * 4u + ${j}u);
    ${weigh(
      j,
      'logSum',
      'delta',
      `vec4<i32>(key${j}) - position`,
      `vec4<bool>(key${j} < lastKey)`,
      hasScreen ? `screenAt + vec4<u32>(u32(key${j}) * u.screen3)` : 'vec4<u32>()',
      hasCap,
    )}`,
    ).join('')}
    ${storeWeights('gradient')}
    workgroupBarrier();
    ${addWeighted(tile, 'sum', 'k', sums, 'keyAt + u32(base)', 'count')}
  }
  ${storeSums(tile, 'sum', 'dq', sums, 'ownAt', 'ownCount', () => '1.0')}`
}

function keyGradient(width: number, valueWidth: number, hasScreen: boolean, hasCap: boolean): string {
  const keySums = widthOf('u.width', width, tile, false)
  const valueSums = widthOf('u.valueWidth', valueWidth, tile, false)
  const own = { at: 'ownAt', count: 'ownCount' }
  const other = { at: 'rowAt', count: 'count' }
  const across = tile.across
  return `
  let batchGroup = group / u.keyTiles;
  let first = (group % u.keyTiles) * ${rowsOfTile}u;
  let ownCount = min(${rowsOfTile}u, u.keys - first);
  let ownAt = batchGroup * u.keys + first;
  let offset = i32(u.keys) - i32(u.queries);
  // The queries that may see some key of the tile.
  let firstQuery = max(0, i32(first) - i32(u.right) - offset);
  let lastQuery = min(i32(u.queries), i32(first + ownCount) + i32(u.left) - offset);
  let key = vec4<i32>(i32(first + (lane / ${across}u) * 4u)) + vec4<i32>(0, 1, 2, 3);
  let exists = key < vec4<i32>(i32(u.keys));
  ${declareSums('keySum', keySums.passes)}
  ${declareSums('valueSum', valueSums.passes)}
  for (var inGroup = 0u; inGroup < u.perGroup; inGroup++) {
    let headAt = (batchGroup * u.perGroup + inGroup) * u.queries;
    for (var base = firstQuery; base < lastQuery; base += ${4 * across}) {
      let count = u32(min(${4 * across}, lastQuery - base));
      let rowAt = headAt + u32(base);
      ${products(tile, ['dot', 'k', 'q'], 'u.width', own, other)}
      ${products(tile, ['up', 'v', 'dOutput'], 'u.valueWidth', own, other)}
      ${each(
        4,
        (j) => `
      let query${j} = base + i32((lane % ${across}u) * 4u + ${j}u);
      let known${j} = rows[headAt + u32(min(query${j}, i32(u.queries) - 1))];
      ${
        hasScreen
          ? `let screenAt${j} = batchGroup / u.groups * u.screen0 + ((batchGroup % u.groups) * u.perGroup + inGroup) * u.screen1 + u32(query${j}) * u.screen2;`
          : ''
      }
      ${weigh(
        j,
        `vec4<f32>(known${j}.x)`,
        `vec4<f32>(known${j}.y)`,
        `key - vec4<i32>(query${j} + offset)`,
        `exists & vec4<bool>(query${j} < lastQuery)`,
        hasScreen ? `vec4<u32>(screenAt${j}) + vec4<u32>(key) * u.screen3` : 'vec4<u32>()',
        hasCap,
      )}`,
      ).join('')}
      ${storeWeights('weight')}
      workgroupBarrier();
      ${addWeighted(tile, 'valueSum', 'dOutput', valueSums, 'rowAt', 'count')}
      workgroupBarrier();
      ${storeWeights('gradient')}
      workgroupBarrier();
      ${addWeighted(tile, 'keySum', 'q', keySums, 'rowAt', 'count')}
    }
  }
  ${storeSums(tile, 'keySum', 'dk', keySums, 'ownAt', 'ownCount', () => '1.0')}
  ${storeSums(tile, 'valueSum', 'dv', valueSums, 'ownAt', 'ownCount', () => '1.0')}`
}

const biasGradient = `
  let at = group * ${lanes}u + lane;
  if (at >= u.biasBatch * u.biasHeads * u.biasQueries * u.biasKeys) { return; }
  let place = vec4<u32>(
    at / u.biasKeys / u.biasQueries / u.biasHeads,
    at / u.biasKeys / u.biasQueries % u.biasHeads,
    at / u.biasKeys % u.biasQueries,
    at % u.biasKeys,
  );
  let biasShape = vec4<u32>(u.biasBatch, u.biasHeads, u.biasQueries, u.biasKeys);
  let shape = vec4<u32>(u.batch, u.heads, u.queries, u.keys);
  // Along an axis where the bias is the same for all, all of it counts.
  let least = select(place, vec4<u32>(), biasShape == vec4<u32>(1u));
  let end = select(place + vec4<u32>(1u), shape, biasShape == vec4<u32>(1u));
  let offset = i32(u.keys) - i32(u.queries);
  var sum = 0.0;
  for (var b = least.x; b < end.x; b++) {
    for (var head = least.y; head < end.y; head++) {
      for (var i = least.z; i < end.z; i++) {
        let row = (b * u.heads + head) * u.queries + i;
        let known = rows[row];
        for (var j = least.w; j < end.w; j++) {
          let key = (b * u.groups + head / u.perGroup) * u.keys + j;
          var dot = 0.0;
          for (var p = 0u; p < u.width; p++) { dot = fma(q[row * u.width + p], k[key * u.width + p], dot); }
          var up = known.y;
          for (var p = 0u; p < u.valueWidth; p++) {
            up = fma(dOutput[row * u.valueWidth + p], v[key * u.valueWidth + p], up);
          }
          let screenAt = b * u.screen0 + head * u.screen1 + i * u.screen2 + j * u.screen3;
          let distance = vec4<i32>(i32(j) - i32(i) - offset);
          let score = shown(capped(vec4<f32>(dot)), distance, vec4<bool>(true), vec4<u32>(screenAt)).x;
          if (score > shownFrom) { sum = fma(exp(score - known.x), up, sum); }
        }
      }
    }
  }
  dBias[at] = sum;`

/** A sink is a key without a value, for which dP = 0. */
const sinkGradient = `
  var sum = 0.0;
  for (var i = lane; i < u.rowsOfHead; i += 256u) {
    let known = rows[(i / u.queries * u.heads + group) * u.queries + i % u.queries];
    sum = fma(exp(max(sinks[group], -3e38) - known.x), known.y, sum);
  }
  sums[lane] = sum;
  for (var width = 128u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) { sums[lane] += sums[lane + width]; }
  }
  if (lane == 0u) { dSinks[group] = sums[0]; }`
