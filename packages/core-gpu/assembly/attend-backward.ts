// d score = P (dP - Delta + d logSumExp), with P = exp(score - logSumExp) computed anew. One kernel has queries in the
// lanes and sums over keys; the other has keys in the lanes and sums over queries: no two threads add to one number.
import {
  Problem, STEP, addBiasGradient, biasOf, columnPanels, maskOf, packColumns, packRows, padded, rowPanels, shapeScores,
  writeLanes,
} from "./attend";
import { expLanes } from "./exp";
import { madd, sumLanes } from "./simd";
import { MR, NR, packB, tile } from "./tile";

/** Queries, or keys, that go over the others together. */
const BLOCK: i32 = 64;

/** Bytes of a panel of scores of a step, and what the last tile writes beyond. */
const SCORES: usize = (STEP + MR) * 32;

/** Writes d logSumExp - dO . o, and a finite logSumExp, for rows `from` <= i < `until` of [B, h, L]. */
export function attendDelta(from: i32, until: i32, _scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  for (let i = from; i < until; i++) {
    const row = <usize>i << 2;
    const lse = load<f32>(p.logSumExp + row);
    // What saw nothing has only scores of -Infinity, whose exponential stays 0.
    store<f32>(p.shift + row, lse > -1e38 ? lse : 3e38);
    const upstream: f32 = p.dLogSumExp == 0 ? 0 : load<f32>(p.dLogSumExp + row);
    const o = p.output + row * <usize>p.valueWidth;
    store<f32>(p.delta + row, upstream - dot(p.dOutput + row * <usize>p.valueWidth, o, p.valueWidth));
  }
}

function dot(x: usize, y: usize, n: i32): f32 {
  let sums = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    sums = madd(v128.load(x), v128.load(y), sums);
    x += 16;
    y += 16;
  }
  let sum = sumLanes(sums);
  for (; i < n; i++) {
    sum += load<f32>(x) * load<f32>(y);
    x += 4;
    y += 4;
  }
  return sum;
}

/** Blocks of queries, or of keys. */
export function attendGradientBlocks(rows: i32): i32 {
  return (rows + BLOCK - 1) / BLOCK;
}

/** Bytes of scratch that both gradient kernels need. */
export function attendGradientScratch(width: i32, valueWidth: i32): usize {
  const operands = <usize>(width + valueWidth) * 32;
  const sums = <usize>(padded(width) + padded(valueWidth)) * 32;
  return <usize>(BLOCK / NR) * (operands + sums) + 3 * SCORES + 32;
}

/** Bytes that `attendPackKeys` writes for each group. */
export function attendPackedKeys(keys: i32, width: i32, valueWidth: i32): usize {
  return rowPanels(keys, width) + rowPanels(keys, valueWidth) + columnPanels(keys, width);
}

/** Packs k, scaled, v, and k by columns, of groups `from` <= i < `until`, counted from p.group. */
export function attendPackKeys(from: i32, until: i32, _scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  for (let i = from; i < until; i++) {
    const first = <usize>(p.group + i) * <usize>p.keys << 2;
    let to = p.packed + <usize>i * attendPackedKeys(p.keys, p.width, p.valueWidth);
    packRows(to, p.k + first * <usize>p.width, 0, p.keys, p.width, p.scale);
    to += rowPanels(p.keys, p.width);
    packRows(to, p.v + first * <usize>p.valueWidth, 0, p.keys, p.valueWidth, 1);
    to += rowPanels(p.keys, p.valueWidth);
    packColumns(to, p.k + first * <usize>p.width, p.keys, p.width);
  }
}

/** dq, and d bias where it has an axis of queries, for blocks of queries as of `attendRows`. */
export function attendQueryGradients(from: i32, until: i32, scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  const blocks = attendGradientBlocks(p.queries);
  const perGroup = p.heads / p.groups;
  const bytes = attendPackedKeys(p.keys, p.width, p.valueWidth);
  for (let i = from; i < until; i++) {
    const head = p.head + i / blocks;
    queryBlock(p, head, i % blocks * BLOCK, p.packed + <usize>(head / perGroup - p.group) * bytes, scratch);
  }
}

function queryBlock(p: Problem, head: i32, first: i32, keys: usize, scratch: usize): void {
  const batch = head / p.heads;
  const rows = min(BLOCK, p.queries - first);
  const panels = (rows + NR - 1) / NR;
  const width = p.width;
  const valueWidth = p.valueWidth;
  const values = keys + rowPanels(p.keys, width);
  const columns = values + rowPanels(p.keys, valueWidth);
  const queryBytes = <usize>width * 32;
  const outputBytes = <usize>valueWidth * 32;
  const sumBytes = <usize>padded(width) * 32;
  const outputs = scratch + <usize>panels * queryBytes;
  const sums = outputs + <usize>panels * outputBytes;
  const scores = sums + <usize>panels * sumBytes;
  const weights = scores + SCORES;
  const slopes = p.softcap > 0 ? weights + SCORES : 0;
  const spare = weights + 2 * SCORES;
  const row = <usize>(head * p.queries + first);
  packB(scratch, p.q + (row * <usize>width << 2), width, rows, 4, <usize>width << 2);
  packB(outputs, p.dOutput + (row * <usize>valueWidth << 2), valueWidth, rows, 4, <usize>valueWidth << 2);
  memory.fill(sums, 0, <usize>panels * sumBytes);

  const position = p.keys - p.queries + first;
  const bias = biasOf(p, batch, head % p.heads);
  const mask = maskOf(p, batch, head % p.heads);
  const dBias = p.biasQuery == 0 || p.dBias == 0 ? 0 : p.dBias + (bias - p.bias);
  const end = min(p.keys, position + rows + p.right);
  for (let step = max(0, position - p.left) / STEP * STEP; step < end; step += STEP) {
    for (let i = 0; i < panels; i++) {
      const lanes = min(NR, rows - i * NR);
      const lane = position + i * NR;
      const start = max(step, max(0, lane - p.left) / MR * MR);
      const count = min(min(step + STEP, p.keys), lane + lanes + p.right) - start;
      if (count <= 0) continue;
      const query = scratch + <usize>i * queryBytes;
      const output = outputs + <usize>i * outputBytes;
      for (let j = 0; j < count; j += MR) {
        tile(keys + (<usize>(start + j) * <usize>width << 2), query, width, scores + <usize>j * 32, 32, false);
        tile(values + (<usize>(start + j) * <usize>valueWidth << 2), output, valueWidth, weights + <usize>j * 32, 32, false);
      }
      const firstRow = <usize>(first + i * NR);
      const piece = firstRow * p.biasQuery + <usize>start * p.biasKey;
      shapeScores(
        p, scores, count, start, lane, p.left, p.right, lanes,
        bias == 0 ? 0 : bias + piece, p.biasKey, p.biasQuery,
        mask == 0 ? 0 : mask + firstRow * p.maskQuery + <usize>start * p.maskKey, p.maskKey, p.maskQuery, slopes,
      );
      queryScores(scores, weights, count, row + <usize>(i * NR) << 2, p);
      if (dBias != 0) addBiasGradient(scores, count, lanes, dBias + piece, p.biasKey, p.biasQuery, spare);
      if (slopes != 0) multiply(scores, slopes, count);
      const column = columns + <usize>step * (sumBytes >> 3) + <usize>(start - step) * 24;
      const sum = sums + <usize>i * sumBytes;
      for (let j = 0; j < width; j += MR) {
        tile(column + (<usize>(j * STEP) << 2), scores, count, sum + <usize>j * 32, 32, true);
      }
    }
  }
  const queryRow = <usize>width << 2;
  fillFactor(scores, p.scale);
  for (let i = 0; i < panels; i++) {
    const to = p.dq + (row + <usize>(i * NR)) * queryRow;
    writeLanes(sums + <usize>i * sumBytes, width, min(NR, rows - i * NR), scores, to, queryRow, false);
  }
}

/** Turns scores into their gradients, given those of the weights; statistics by lane. */
function queryScores(scores: usize, weights: usize, rows: i32, row: usize, p: Problem): void {
  const shift0 = v128.load(p.shift + row);
  const shift1 = v128.load(p.shift + row, 16);
  const delta0 = v128.load(p.delta + row);
  const delta1 = v128.load(p.delta + row, 16);
  for (const end = scores + (<usize>rows << 5); scores < end; scores += 32) {
    const p0 = expLanes(f32x4.sub(v128.load(scores), shift0));
    const p1 = expLanes(f32x4.sub(v128.load(scores, 16), shift1));
    v128.store(scores, f32x4.mul(p0, f32x4.add(v128.load(weights), delta0)));
    v128.store(scores, f32x4.mul(p1, f32x4.add(v128.load(weights, 16), delta1)), 16);
    weights += 32;
  }
}

// @ts-ignore: decorator
@inline function multiply(to: usize, factors: usize, rows: i32): void {
  for (const end = to + (<usize>rows << 5); to < end; to += 16) {
    v128.store(to, f32x4.mul(v128.load(to), v128.load(factors)));
    factors += 16;
  }
}

// @ts-ignore: decorator
@inline function fillFactor(at: usize, factor: f32): void {
  v128.store(at, f32x4.splat(factor));
  v128.store(at, f32x4.splat(factor), 16);
}

/** Bytes that `attendPackQueries` writes for each group. */
export function attendPackedQueries(queries: i32, width: i32, valueWidth: i32): usize {
  return rowPanels(queries, width) + rowPanels(queries, valueWidth)
    + columnPanels(queries, width) + columnPanels(queries, valueWidth);
}

/** Packs q, scaled, and dO, both by columns too, of head p.member of groups `from` <= i < `until`, counted from p.group. */
export function attendPackQueries(from: i32, until: i32, _scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  for (let i = from; i < until; i++) {
    const head = (p.group + i) * (p.heads / p.groups) + p.member;
    const q = p.q + (<usize>head * <usize>p.queries * <usize>p.width << 2);
    const dOutput = p.dOutput + (<usize>head * <usize>p.queries * <usize>p.valueWidth << 2);
    let to = p.packed + <usize>i * attendPackedQueries(p.queries, p.width, p.valueWidth);
    packRows(to, q, 0, p.queries, p.width, p.scale);
    to += rowPanels(p.queries, p.width);
    packRows(to, dOutput, 0, p.queries, p.valueWidth, 1);
    to += rowPanels(p.queries, p.valueWidth);
    packColumns(to, q, p.queries, p.width);
    to += columnPanels(p.queries, p.width);
    packColumns(to, dOutput, p.queries, p.valueWidth);
  }
}

/**
 * What head p.member of each group adds to dk and dv, and to d bias where it has no axis of queries, for blocks of keys
 * `from` <= i < `until`: all blocks of group p.group, then of the next. The first member's is written, not added.
 */
export function attendKeyGradients(from: i32, until: i32, scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  const blocks = attendGradientBlocks(p.keys);
  const bytes = attendPackedQueries(p.queries, p.width, p.valueWidth);
  for (let i = from; i < until; i++) {
    keyBlock(p, p.group + i / blocks, i % blocks * BLOCK, p.packed + <usize>(i / blocks) * bytes, scratch);
  }
}

function keyBlock(p: Problem, group: i32, first: i32, queries: usize, scratch: usize): void {
  const batch = group / p.groups;
  const head = group * (p.heads / p.groups) + p.member;
  const rows = min(BLOCK, p.keys - first);
  const panels = (rows + NR - 1) / NR;
  const width = p.width;
  const valueWidth = p.valueWidth;
  const outputs = queries + rowPanels(p.queries, width);
  const queryColumns = outputs + rowPanels(p.queries, valueWidth);
  const outputColumns = queryColumns + columnPanels(p.queries, width);
  const keyBytes = <usize>width * 32;
  const valueBytes = <usize>valueWidth * 32;
  const keySumBytes = <usize>padded(width) * 32;
  const valueSumBytes = <usize>padded(valueWidth) * 32;
  const values = scratch + <usize>panels * keyBytes;
  const keySums = values + <usize>panels * valueBytes;
  const valueSums = keySums + <usize>panels * keySumBytes;
  const scores = valueSums + <usize>panels * valueSumBytes;
  const weights = scores + SCORES;
  const slopes = p.softcap > 0 ? weights + SCORES : 0;
  const spare = weights + 2 * SCORES;
  const key = <usize>(group * p.keys + first);
  packB(scratch, p.k + (key * <usize>width << 2), width, rows, 4, <usize>width << 2);
  packB(values, p.v + (key * <usize>valueWidth << 2), valueWidth, rows, 4, <usize>valueWidth << 2);
  memory.fill(keySums, 0, <usize>panels * (keySumBytes + valueSumBytes));

  // Query i sees keys i + offset - left ... i + offset + right.
  const offset = p.keys - p.queries;
  const bias = biasOf(p, batch, head % p.heads);
  const mask = maskOf(p, batch, head % p.heads);
  const dBias = p.biasQuery != 0 || p.dBias == 0 ? 0 : p.dBias + (bias - p.bias);
  const end = min(p.queries, first + rows + p.left - offset);
  for (let step = max(0, first - p.right - offset) / STEP * STEP; step < end; step += STEP) {
    for (let i = 0; i < panels; i++) {
      const lanes = min(NR, rows - i * NR);
      const lane = first + i * NR;
      const start = max(step, max(0, lane - p.right - offset) / MR * MR);
      const count = min(min(step + STEP, p.queries), lane + lanes + p.left - offset) - start;
      if (count <= 0) continue;
      const k = scratch + <usize>i * keyBytes;
      const v = values + <usize>i * valueBytes;
      for (let j = 0; j < count; j += MR) {
        tile(queries + (<usize>(start + j) * <usize>width << 2), k, width, scores + <usize>j * 32, 32, false);
        tile(outputs + (<usize>(start + j) * <usize>valueWidth << 2), v, valueWidth, weights + <usize>j * 32, 32, false);
      }
      const piece = <usize>start * p.biasQuery + <usize>lane * p.biasKey;
      shapeScores(
        p, scores, count, start + offset, lane, p.right, p.left, lanes,
        bias == 0 ? 0 : bias + piece, p.biasQuery, p.biasKey,
        mask == 0 ? 0 : mask + <usize>start * p.maskQuery + <usize>lane * p.maskKey, p.maskQuery, p.maskKey, slopes,
      );
      keyScores(scores, weights, count, <usize>(head * p.queries + start) << 2, p);
      if (dBias != 0) addBiasGradient(weights, count, lanes, dBias + piece, p.biasQuery, p.biasKey, spare);
      if (slopes != 0) multiply(weights, slopes, count);
      const within = <usize>(start - step) * 24;
      const queryColumn = queryColumns + <usize>step * (keySumBytes >> 3) + within;
      for (let j = 0; j < width; j += MR) {
        tile(queryColumn + (<usize>(j * STEP) << 2), weights, count, keySums + <usize>i * keySumBytes + <usize>j * 32, 32, true);
      }
      const outputColumn = outputColumns + <usize>step * (valueSumBytes >> 3) + within;
      for (let j = 0; j < valueWidth; j += MR) {
        tile(outputColumn + (<usize>(j * STEP) << 2), scores, count, valueSums + <usize>i * valueSumBytes + <usize>j * 32, 32, true);
      }
    }
  }
  const keyRow = <usize>width << 2;
  const valueRow = <usize>valueWidth << 2;
  const add = p.member > 0;
  fillFactor(scores, p.scale);
  fillFactor(spare, 1);
  for (let i = 0; i < panels; i++) {
    const lanes = min(NR, rows - i * NR);
    const to = key + <usize>(i * NR);
    writeLanes(keySums + <usize>i * keySumBytes, width, lanes, scores, p.dk + to * keyRow, keyRow, add);
    writeLanes(valueSums + <usize>i * valueSumBytes, valueWidth, lanes, spare, p.dv + to * valueRow, valueRow, add);
  }
}

/** Turns scores into weights, and the weights' gradients into those of the scores; statistics by row. */
function keyScores(scores: usize, weights: usize, rows: i32, row: usize, p: Problem): void {
  let shift = p.shift + row;
  let delta = p.delta + row;
  for (const end = scores + (<usize>rows << 5); scores < end; scores += 32) {
    const less = v128.load_splat<f32>(shift);
    const more = v128.load_splat<f32>(delta);
    const p0 = expLanes(f32x4.sub(v128.load(scores), less));
    const p1 = expLanes(f32x4.sub(v128.load(scores, 16), less));
    v128.store(scores, p0);
    v128.store(scores, p1, 16);
    v128.store(weights, f32x4.mul(p0, f32x4.add(v128.load(weights), more)));
    v128.store(weights, f32x4.mul(p1, f32x4.add(v128.load(weights, 16), more)), 16);
    weights += 32;
    shift += 4;
    delta += 4;
  }
}
