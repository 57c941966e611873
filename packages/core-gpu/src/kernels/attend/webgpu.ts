import * as tf from '@tensorflow/tfjs-core'
import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'
import { type AttendAttributes, type AttendInputs, attendSizes } from './contract.ts'
import {
  addWeighted,
  attendNumbers,
  attendUniforms,
  declareSums,
  each,
  lanes,
  products,
  readHalf,
  rowsOfFour,
  scoreDeclarations,
  scoreReads,
  screenOf,
  storeSums,
  type Tile,
  type Width,
  widthOf,
} from './webgpu-tiles.ts'

// Queries by keys: for few queries, as in decoding, and for values whose sums would not fit in registers otherwise.
const narrow: Tile = { down: 2, across: 32 } // 8 x 128
const square: Tile = { down: 8, across: 8 } // 32 x 32

const wantedWorkgroups = 256
const largestSplits = 64

/**
 * XAttend, XAttendCached and XAttendCachedHalf: tiles of scores with an online softmax (arXiv 2205.14135).
 *
 * The query heads of a group are rows of one tile, so that its keys and values are read once for all of them. Where the
 * queries alone make too little work for a card, as in decoding, the keys are split over workgroups and the parts merged
 * by log-sum-exp.
 *
 * Floor: 2 B h L S (d + dv) operations, half of it where causal; bytes moved 4 B h L (d + dv) + 4 B g S (d + dv)
 * ceil(h L / (32 g)), in decoding 4 B g S (d + dv), at half precision half of that; working memory 4 splits B h L (dv + 1) where split, else none.
 */
export const attendWebgpu: Kernel = (tensors, numbers, backend) => {
  const inputs = tensors as unknown as AttendInputs
  const attributes = numbers as unknown as AttendAttributes
  const sizes = attendSizes(inputs.q, inputs.k, inputs.v)
  const { batch, heads, groups, queries, keys, valueWidth } = sizes
  const { sinks, lengths } = inputs
  const rows = (heads / groups) * queries
  const tile = rows <= 4 * narrow.down || valueWidth > 256 ? narrow : square
  const rowTiles = Math.ceil(rows / (4 * tile.down))
  const splits = Math.min(
    Math.ceil(wantedWorkgroups / (batch * groups * rowTiles)),
    Math.ceil(keys / (8 * tile.across)),
    largestSplits,
  )
  const output = makeTensor(backend, [batch, heads, queries, valueWidth])
  const logSumExp = makeTensor(backend, [batch, heads, queries])
  const parts = splits === 1 ? output : makeTensor(backend, [splits, batch, heads, queries, valueWidth])
  const partSums = splits === 1 ? logSumExp : makeTensor(backend, [splits, batch, heads, queries])
  const screen = screenOf(inputs)
  const whole = splits === 1
  runProgram(backend, {
    name: 'attend',
    reads: {
      ...scoreReads(inputs, screen),
      ...(lengths && { lengths }),
      ...(whole && sinks && { sinks }),
    },
    writes: { parts: rowsOfFour(parts), sums: { tensor: partSums, as: 'u32' } },
    sizes: { ...attendUniforms(sizes, attributes, screen), rowTiles, splits, allRows: batch * heads * queries },
    numbers: attendNumbers(attributes),
    workgroups: batch * groups * rowTiles * splits,
    workgroupSize: lanes,
    declarations: `${scoreDeclarations(tile, attributes, screen)}
      var<workgroup> shared4: array<vec4<f32>, ${lanes}>;
      ${finishing(whole && sinks !== undefined, whole)}`,
    main: forward(
      tile,
      { ...widthOf('u.valueWidth', valueWidth, tile), half: inputs.v.dtype === 'int32' },
      {
        halfKeys: inputs.k.dtype === 'int32',
        screen: screen !== null,
        lengths: lengths !== undefined,
        sinks: whole && sinks !== undefined,
      },
    ),
  })
  if (screen?.owned) screen.tensor.dispose()
  if (whole) return [output, logSumExp]
  runProgram(backend, {
    name: 'attend: merge',
    reads: { parts, partSums, ...(sinks && { sinks }) },
    writes: { output, sums: { tensor: logSumExp, as: 'u32' } },
    sizes: { queries, heads, valueWidth, splits, allRows: batch * heads * queries },
    workgroups: Math.ceil((batch * heads * queries * valueWidth) / 256),
    declarations: finishing(sinks !== undefined, true),
    main: merge(sinks !== undefined),
  })
  for (const { dataId } of [parts, partSums] as tf.TensorInfo[]) backend.disposeData(dataId)
  return [output, logSumExp]
}

/**
 * WGSL that ends a softmax: from the largest score and the sum of exp(score - largest), the factor of the sum of values
 * and the bits of the log-sum-exp.
 */
const finishing = (hasSinks: boolean, whole: boolean): string => `
  struct Finished { factor: vec4<f32>, bits: vec4<u32> }
  fn finish(largest: vec4<f32>, total: vec4<f32>${hasSinks ? ', sink: vec4<f32>' : ''}) -> Finished {
    ${
      hasSinks
        ? `// A sink takes part once and has no value.
    let bounded = max(sink, vec4<f32>(-3e38));
    let top = max(largest, bounded);
    let kept = exp(largest - top);
    let sum = total * kept + select(vec4<f32>(), exp(bounded - top), bounded > vec4<f32>(-1e38));`
        : `let top = largest;
    let kept = vec4<f32>(1.0);
    let sum = total;`
    }
    let some = sum > vec4<f32>(); // whether anything was seen
    return Finished(
      select(vec4<f32>(), kept / sum, some),
      select(vec4<u32>(${whole ? '0xff800000u' : 'bitcast<u32>(-3e38f)'}), bitcast<vec4<u32>>(top + log(sum)), some),
    );
  }`

function forward(
  tile: Tile,
  values: Width,
  has: { halfKeys: boolean; screen: boolean; lengths: boolean; sinks: boolean },
): string {
  const { down, across } = tile
  const own = 4 * down
  return `
  let split = group % u.splits;
  let part = (group / u.splits) % u.rowTiles;
  let batchGroup = group / u.splits / u.rowTiles;
  let batch = batchGroup / u.groups;
  let rowsOfGroup = u.perGroup * u.queries; // a group's heads lie one after the other
  let first = part * ${own}u;
  let ownCount = min(${own}u, rowsOfGroup - first);
  let ownAt = batchGroup * rowsOfGroup + first;
  let keyAt = batchGroup * u.keys;
  let end = ${has.lengths ? 'min(lengths[batch], i32(u.keys))' : 'i32(u.keys)'};
  let offset = end - i32(u.queries);

  // The keys that some row of the tile may see.
  var least = i32(first % u.queries);
  var most = least + i32(ownCount) - 1;
  if (most >= i32(u.queries)) { least = 0; most = i32(u.queries) - 1; } // more than one head
  let keysFrom = max(0, least + offset - i32(u.left));
  let keysTo = min(end, most + offset + i32(u.right) + 1);
  let tiles = (max(0, keysTo - keysFrom) + ${4 * across - 1}) / ${4 * across};
  let tilesOfSplit = (tiles + i32(u.splits) - 1) / i32(u.splits);
  let firstKey = keysFrom + i32(split) * tilesOfSplit * ${4 * across};
  let lastKey = min(keysTo, firstKey + tilesOfSplit * ${4 * across});

  // Of this invocation's 4 rows: place in the sequence, and where the row of the screen begins.
  let row = vec4<u32>(first + (lane / ${across}u) * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
  let position = vec4<i32>(row % u.queries) + vec4<i32>(offset);
  let head = vec4<u32>((batchGroup % u.groups) * u.perGroup) + row / u.queries;
  ${has.screen ? 'let screenAt = vec4<u32>(batch * u.screen0) + head * u.screen1 + (row % u.queries) * u.screen2;' : ''}

  var largest = vec4<f32>(hidden); // of the 4 rows
  var total = vec4<f32>(); // of this invocation's keys
  ${declareSums('sum', values.passes)}
  for (var base = firstKey; base < lastKey; base += ${4 * across}) {
    let count = u32(min(${4 * across}, lastKey - base));
    ${products(tile, ['dot', 'q', 'k'], 'u.width', { at: 'ownAt', count: 'ownCount' }, { at: 'keyAt + u32(base)', count: 'count' }, ...(has.halfKeys ? [readHalf] : []))}
    ${each(
      4,
      (j) => `
    let key${j} = base + i32((lane % ${across}u) * 4u + ${j}u);
    let score${j} = shown(
      capped(dot${j}),
      vec4<i32>(key${j}) - position,
      vec4<bool>(key${j} < lastKey),
      ${has.screen ? `screenAt + vec4<u32>(u32(key${j}) * u.screen3)` : 'vec4<u32>()'},
    );`,
    ).join('')}
    shared4[lane] = max(max(score0, score1), max(score2, score3));
    workgroupBarrier();
    var top = largest;
    for (var i = 0u; i < ${across}u; i++) { top = max(top, shared4[(lane / ${across}u) * ${across}u + i]); }
    let kept = exp(largest - top);
    largest = top;
    total *= kept;
    ${each(
      4,
      (j) => `
    let weight${j} = select(vec4<f32>(), exp(score${j} - top), score${j} > vec4<f32>(shownFrom));
    weights[((lane % ${across}u) * 4u + ${j}u) * ${down}u + lane / ${across}u] = weight${j};
    total += weight${j};`,
    ).join('')}
    ${each(values.passes, (pass) => each(4, (c) => `sum${pass}_${c} *= kept[${c}];`).join(' ')).join('\n')}
    workgroupBarrier();
    ${addWeighted(tile, 'sum', 'v', values, 'keyAt + u32(base)', 'count')}
  }
  workgroupBarrier();
  shared4[lane] = total;
  workgroupBarrier();
  total = vec4<f32>();
  for (var i = 0u; i < ${across}u; i++) { total += shared4[(lane / ${across}u) * ${across}u + i]; }
  let finished = finish(largest, total${has.sinks ? `, vec4<f32>(${each(4, (c) => `sinks[head[${c}]]`).join(', ')})` : ''});
  let writeAt = split * u.allRows + ownAt;
  ${storeSums(tile, 'sum', 'parts', { ...values, half: false }, 'writeAt', 'ownCount', (row) => `finished.factor[${row}]`)}
  if (lane % ${across}u == 0u) {
    ${each(4, (c) => `if (row[${c}] - first < ownCount) { sums[writeAt + row[${c}] - first] = finished.bits[${c}]; }`).join('\n')}
  }`
}

const merge = (hasSinks: boolean): string => `
  let at = group * 256u + lane;
  let row = at / u.valueWidth;
  if (row >= u.allRows) { return; }
  var largest = -3e38;
  for (var split = 0u; split < u.splits; split++) { largest = max(largest, partSums[split * u.allRows + row]); }
  var total = 0.0;
  var sum = 0.0;
  for (var split = 0u; split < u.splits; split++) {
    let logSum = partSums[split * u.allRows + row];
    if (logSum > -1e38) {
      let weight = exp(logSum - largest);
      total += weight;
      sum = fma(weight, parts[split * u.allRows * u.valueWidth + at], sum);
    }
  }
  let finished = finish(vec4<f32>(largest), vec4<f32>(total)${hasSinks ? ', vec4<f32>(sinks[(row / u.queries) % u.heads])' : ''});
  output[at] = sum * finished.factor.x;
  if (at % u.valueWidth == 0u) { sums[row] = finished.bits.x; }`
