// The gradients of a whole group by one thread, which may then add to dk and dv as it goes: scores are computed once, with
// queries in the lanes for dq, and turned round for dk and dv.
import { Problem, STEP, columnPanels, maskOf, packColumns, packRows, padded, rowPanels, shapeScores, writeLanes } from "./attend";
import { expLanes } from "./exp";
import { MR, NR, packB, tile } from "./tile";

const PANELS: i32 = STEP / NR;

/** Bytes of a panel of scores of a step, and what the last tile writes beyond. */
const SCORES: usize = (STEP + MR) * 32;

/** Bytes of such a panel with keys in the lanes. */
const TURNED: usize = STEP * 32;

// @ts-ignore: decorator
@inline function sumPanels(keys: i32, width: i32): usize {
  return <usize>((keys + NR - 1) / NR * padded(width)) * 32;
}

/** Bytes of scratch that `attendGroupGradients` needs. */
export function attendGroupScratch(keys: i32, width: i32, valueWidth: i32): usize {
  const packed = rowPanels(keys, width) + rowPanels(keys, valueWidth) + columnPanels(keys, width);
  const sums = sumPanels(keys, width) + sumPanels(keys, valueWidth);
  const queries = <usize>(PANELS * (width + valueWidth + padded(width))) * 32
    + columnPanels(STEP, width) + columnPanels(STEP, valueWidth);
  return packed + sums + queries + <usize>(2 * PANELS + 1) * SCORES + <usize>(2 * PANELS) * TURNED + <usize>STEP * 8;
}

/** dq, dk and dv of groups `from` <= i < `until`. */
export function attendGroupGradients(from: i32, until: i32, scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  for (let group = from; group < until; group++) groupGradients(p, group, scratch);
}

function groupGradients(p: Problem, group: i32, scratch: usize): void {
  const width = p.width;
  const valueWidth = p.valueWidth;
  const keys = scratch;
  const values = keys + rowPanels(p.keys, width);
  const columns = values + rowPanels(p.keys, valueWidth);
  const keySums = columns + columnPanels(p.keys, width);
  const valueSums = keySums + sumPanels(p.keys, width);
  const rest = valueSums + sumPanels(p.keys, valueWidth);
  const row = <usize>(group * p.keys);
  const k = p.k + (row * <usize>width << 2);
  packRows(keys, k, 0, p.keys, width, p.scale);
  packRows(values, p.v + (row * <usize>valueWidth << 2), 0, p.keys, valueWidth, 1);
  packColumns(columns, k, p.keys, width);
  memory.fill(keySums, 0, rest - keySums);
  const perGroup = p.heads / p.groups;
  for (let head = group * perGroup; head < (group + 1) * perGroup; head++) {
    for (let first = 0; first < p.queries; first += STEP) {
      queryStep(p, head, first, keys, values, columns, keySums, valueSums, rest);
    }
  }
  const keyRow = <usize>width << 2;
  const valueRow = <usize>valueWidth << 2;
  fillFactor(rest, p.scale);
  fillFactor(rest + 32, 1);
  for (let j = 0; j < p.keys; j += NR) {
    const lanes = min(NR, p.keys - j);
    const to = row + <usize>j;
    writeLanes(keySums + (<usize>(j * padded(width)) << 2), width, lanes, rest, p.dk + to * keyRow, keyRow, false);
    writeLanes(valueSums + (<usize>(j * padded(valueWidth)) << 2), valueWidth, lanes, rest + 32, p.dv + to * valueRow, valueRow, false);
  }
}

// @ts-ignore: decorator
@inline function fillFactor(at: usize, factor: f32): void {
  v128.store(at, f32x4.splat(factor));
  v128.store(at, f32x4.splat(factor), 16);
}

/** A step of queries against all keys it sees. */
function queryStep(
  p: Problem, head: i32, first: i32, keys: usize, values: usize, columns: usize, keySums: usize, valueSums: usize, rest: usize,
): void {
  const width = p.width;
  const valueWidth = p.valueWidth;
  const rows = min(STEP, p.queries - first);
  const panels = (rows + NR - 1) / NR;
  const queryBytes = <usize>width * 32;
  const outputBytes = <usize>valueWidth * 32;
  const keySumBytes = <usize>padded(width) * 32;
  const valueSumBytes = <usize>padded(valueWidth) * 32;
  const outputs = rest + <usize>PANELS * queryBytes;
  const sums = outputs + <usize>PANELS * outputBytes;
  const queryColumns = sums + <usize>PANELS * keySumBytes;
  const outputColumns = queryColumns + columnPanels(STEP, width);
  const scores = outputColumns + columnPanels(STEP, valueWidth);
  const weights = scores + <usize>PANELS * SCORES;
  const slopes = p.softcap > 0 ? weights + <usize>PANELS * SCORES : 0;
  const turnedScores = weights + <usize>(PANELS + 1) * SCORES;
  const turnedWeights = turnedScores + <usize>PANELS * TURNED;
  const shifts = turnedWeights + <usize>PANELS * TURNED;
  const deltas = shifts + <usize>STEP * 4;

  const row = <usize>(head * p.queries + first);
  const q = p.q + (row * <usize>width << 2);
  const dOutput = p.dOutput + (row * <usize>valueWidth << 2);
  packB(rest, q, width, rows, 4, <usize>width << 2);
  packB(outputs, dOutput, valueWidth, rows, 4, <usize>valueWidth << 2);
  packColumns(queryColumns, q, rows, width);
  packColumns(outputColumns, dOutput, rows, valueWidth);
  memory.fill(sums, 0, <usize>panels * keySumBytes);
  memory.copy(shifts, p.shift + (row << 2), <usize>rows << 2);
  memory.copy(deltas, p.delta + (row << 2), <usize>rows << 2);
  // Lanes that are not there weigh nothing.
  for (let i = rows; i < panels * NR; i++) {
    store<f32>(shifts + (<usize>i << 2), 3e38);
    store<f32>(deltas + (<usize>i << 2), 0);
  }

  const position = p.keys - p.queries + first;
  const mask = maskOf(p, head / p.heads, head % p.heads);
  const end = min(p.keys, position + rows + p.right);
  for (let step = max(0, position - p.left) / STEP * STEP; step < end; step += STEP) {
    for (let i = 0; i < panels; i++) {
      const lanes = min(NR, rows - i * NR);
      const lane = position + i * NR;
      const start = max(step, max(0, lane - p.left) / MR * MR);
      const count = min(min(step + STEP, p.keys), lane + lanes + p.right) - start;
      const score = scores + <usize>i * SCORES;
      const weight = weights + <usize>i * SCORES;
      if (count <= 0) {
        memory.fill(score, 0, TURNED);
        memory.fill(weight, 0, TURNED);
        continue;
      }
      const before = <usize>(start - step) * 32;
      const query = rest + <usize>i * queryBytes;
      const output = outputs + <usize>i * outputBytes;
      for (let j = 0; j < count; j += MR) {
        const to = before + <usize>j * 32;
        tile(keys + (<usize>(start + j) * <usize>width << 2), query, width, score + to, 32, false);
        tile(values + (<usize>(start + j) * <usize>valueWidth << 2), output, valueWidth, weight + to, 32, false);
      }
      const firstRow = <usize>(first + i * NR);
      shapeScores(
        p, score + before, count, start, lane, p.left, p.right, lanes, 0, 0, 0,
        mask == 0 ? 0 : mask + firstRow * p.maskQuery + <usize>start * p.maskKey, p.maskKey, p.maskQuery, slopes,
      );
      const statistics = <usize>(i * NR) << 2;
      gradients(score + before, weight + before, count, shifts + statistics, deltas + statistics, slopes);
      const after = before + (<usize>count << 5);
      memory.fill(score, 0, before);
      memory.fill(weight, 0, before);
      if (after < TURNED) {
        memory.fill(score + after, 0, TURNED - after);
        memory.fill(weight + after, 0, TURNED - after);
      }
      const column = columns + <usize>step * (keySumBytes >> 3) + <usize>(start - step) * 24;
      const sum = sums + <usize>i * keySumBytes;
      for (let j = 0; j < width; j += MR) {
        tile(column + (<usize>(j * STEP) << 2), score + before, count, sum + <usize>j * 32, 32, true);
      }
    }
    const keyPanels = (min(STEP, p.keys - step) + NR - 1) / NR;
    turn(turnedScores, scores, panels, keyPanels);
    turn(turnedWeights, weights, panels, keyPanels);
    for (let i = 0; i < keyPanels; i++) {
      const keySum = keySums + <usize>(step / NR + i) * keySumBytes;
      for (let j = 0; j < width; j += MR) {
        tile(queryColumns + (<usize>(j * STEP) << 2), turnedScores + <usize>i * TURNED, rows, keySum + <usize>j * 32, 32, true);
      }
      const valueSum = valueSums + <usize>(step / NR + i) * valueSumBytes;
      for (let j = 0; j < valueWidth; j += MR) {
        tile(outputColumns + (<usize>(j * STEP) << 2), turnedWeights + <usize>i * TURNED, rows, valueSum + <usize>j * 32, 32, true);
      }
    }
  }
  const queryRow = <usize>width << 2;
  fillFactor(scores, p.scale);
  for (let i = 0; i < panels; i++) {
    const to = p.dq + (row + <usize>(i * NR)) * queryRow;
    writeLanes(sums + <usize>i * keySumBytes, width, min(NR, rows - i * NR), scores, to, queryRow, false);
  }
}

/** Turns scores into their gradients, and the weights' gradients into the weights. */
function gradients(scores: usize, weights: usize, rows: i32, shifts: usize, deltas: usize, slopes: usize): void {
  const shift0 = v128.load(shifts);
  const shift1 = v128.load(shifts, 16);
  const delta0 = v128.load(deltas);
  const delta1 = v128.load(deltas, 16);
  const end = scores + (<usize>rows << 5);
  for (let at = scores; at < end; at += 32) {
    const p0 = expLanes(f32x4.sub(v128.load(at), shift0));
    const p1 = expLanes(f32x4.sub(v128.load(at, 16), shift1));
    v128.store(at, f32x4.mul(p0, f32x4.add(v128.load(weights), delta0)));
    v128.store(at, f32x4.mul(p1, f32x4.add(v128.load(weights, 16), delta1)), 16);
    v128.store(weights, p0);
    v128.store(weights, p1, 16);
    weights += 32;
  }
  if (slopes == 0) return;
  for (let at = scores; at < end; at += 16) {
    v128.store(at, f32x4.mul(v128.load(at), v128.load(slopes)));
    slopes += 16;
  }
}

/** Panels of queries [keys, 8] as panels of keys [queries, 8]. */
function turn(to: usize, from: usize, queryPanels: i32, keyPanels: i32): void {
  for (let j = 0; j < keyPanels; j++) {
    for (let i = 0; i < queryPanels; i++) {
      const read = from + <usize>i * SCORES + <usize>j * 256;
      const write = to + <usize>j * TURNED + <usize>i * 256;
      turnFour(write, read);
      turnFour(write + 16, read + 128);
      turnFour(write + 128, read + 16);
      turnFour(write + 144, read + 144);
    }
  }
}

// @ts-ignore: decorator
@inline function turnFour(to: usize, from: usize): void {
  const x0 = v128.load(from);
  const x1 = v128.load(from, 32);
  const x2 = v128.load(from, 64);
  const x3 = v128.load(from, 96);
  const lo01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const hi01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const lo23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const hi23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f64>(lo01, lo23, 0, 2));
  v128.store(to, v128.shuffle<f64>(lo01, lo23, 1, 3), 32);
  v128.store(to, v128.shuffle<f64>(hi01, hi23, 0, 2), 64);
  v128.store(to, v128.shuffle<f64>(hi01, hi23, 1, 3), 96);
}
