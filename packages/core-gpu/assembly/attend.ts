// What the kernels of attention share. A panel has 8 lanes, queries in the forward pass; rows of a panel are keys. With
// keys as A and queries as B of the register tile, scores come out as such a panel, which then is B of the product with
// the values: nothing is transposed, and the softmax needs no sum across lanes.
import { tanhLanes } from "./exp";
import { MR, packA } from "./tile";

/** Where hidden scores begin: a maximum starts here, so that nothing is ever subtracted from an infinity. */
export const LEAST: f32 = -3e38;

/** Rows of a step: their part of both operands stays in the first-level cache while a block's panels pass. */
export const STEP: i32 = 48;

/** A problem, as src/kernels/attend/wasm.ts writes it: addresses, sizes, strides in bytes. */
@unmanaged export class Problem {
  q: usize; // [B, h, L, d]
  k: usize; // [B, g, S, d]
  v: usize; // [B, g, S, dv]
  bias: usize; // 0 for none, as all of the following
  mask: usize;
  sinks: usize; // [h]
  lengths: usize; // i32 [B]
  output: usize; // [B, h, L, dv]
  logSumExp: usize; // [B, h, L]
  dOutput: usize;
  dLogSumExp: usize;
  shift: usize; // [B, h, L]: logSumExp, finite
  delta: usize; // [B, h, L]: d logSumExp - dO . o
  dq: usize;
  dk: usize;
  dv: usize;
  dBias: usize; // in the shape of bias
  packed: usize; // operands of the groups from `group` on
  group: i32;
  head: i32; // b * h + s of the first head to work on
  member: i32; // which head of each group, where one is worked on at a time
  heads: i32;
  groups: i32;
  queries: i32;
  keys: i32;
  width: i32;
  valueWidth: i32;
  left: i32;
  right: i32;
  scale: f32;
  softcap: f32; // 0 for none
  biasBatch: usize;
  biasHead: usize;
  biasQuery: usize;
  biasKey: usize;
  maskBatch: usize;
  maskHead: usize;
  maskQuery: usize;
  maskKey: usize;
}

/** A head's piece of bias and mask. */
// @ts-ignore: decorator
@inline export function biasOf(p: Problem, batch: i32, head: i32): usize {
  return p.bias == 0 ? 0 : p.bias + <usize>batch * p.biasBatch + <usize>head * p.biasHead;
}

// @ts-ignore: decorator
@inline export function maskOf(p: Problem, batch: i32, head: i32): usize {
  return p.mask == 0 ? 0 : p.mask + <usize>batch * p.maskBatch + <usize>head * p.maskHead;
}

// @ts-ignore: decorator
@inline export function lengthOf(p: Problem, batch: i32): i32 {
  return p.lengths == 0 ? p.keys : max(0, min(p.keys, load<i32>(p.lengths + (<usize>batch << 2))));
}

/** Bytes of x [rows, width] in panels of 6 rows. */
// @ts-ignore: decorator
@inline export function rowPanels(rows: i32, width: i32): usize {
  return <usize>((rows + MR - 1) / MR * MR) * <usize>width << 2;
}

/** Bytes of x [rows, width] as `packColumns` leaves it. */
// @ts-ignore: decorator
@inline export function columnPanels(rows: i32, width: i32): usize {
  return <usize>((rows + STEP - 1) / STEP * STEP) * <usize>padded(width) << 2;
}

/** `width` with what fills up the last panel of 6. */
// @ts-ignore: decorator
@inline export function padded(width: i32): i32 {
  return (width + MR - 1) / MR * MR;
}

/** Rows `from` <= i < `until` (`from` a multiple of 6) of x [rows, width], times `scale`, as A of x y. */
export function packRows(to: usize, x: usize, from: i32, until: i32, width: i32, scale: f32): void {
  const row = <usize>width << 2;
  packA(to + <usize>from * row, x + <usize>from * row, until - from, width, row, 4, scale);
}

/**
 * x [rows, width] as A of x^T y: for each step of rows panels of 6 columns, one after the other, because panels as long as x
 * would all lie in the same places of the cache.
 */
export function packColumns(to: usize, x: usize, rows: i32, width: i32): void {
  const row = <usize>width << 2;
  for (let i = 0; i < rows; i += STEP) {
    const depth = min(STEP, rows - i);
    for (let j = 0; j < width; j += MR) {
      packA(to, x + <usize>i * row + (<usize>j << 2), min(MR, width - j), depth, 4, row, 1);
      to += STEP * MR * 4;
    }
  }
}

/**
 * Caps, biases and hides the scores of a panel of `rows` from `row` on. Lane 0 stands at `lane`, and lane l sees the rows
 * lane + l - before ... lane + l + after. `bias` and `mask` are those of the first row and lane; lanes from `lanes` on are
 * not there. With `slopes`, the derivative of the cap goes there.
 */
export function shapeScores(
  p: Problem, panel: usize, rows: i32, row: i32, lane: i32, before: i32, after: i32, lanes: i32,
  bias: usize, biasRow: usize, biasLane: usize, mask: usize, maskRow: usize, maskLane: usize, slopes: usize,
): void {
  const end = panel + (<usize>rows << 5);
  if (p.softcap > 0) {
    const inverse = f32x4.splat(1 / p.softcap);
    const cap = f32x4.splat(p.softcap);
    const one = f32x4.splat(1);
    for (let at = panel; at < end; at += 16) {
      const x = tanhLanes(f32x4.mul(v128.load(at), inverse));
      v128.store(at, f32x4.mul(x, cap));
      if (slopes != 0) {
        v128.store(slopes, f32x4.sub(one, f32x4.mul(x, x)));
        slopes += 16;
      }
    }
  }
  if (bias != 0) {
    for (let at = panel; at < end; at += 32) {
      v128.store(at, f32x4.add(v128.load(at), floatsAt(bias, biasLane, 0, lanes)));
      v128.store(at, f32x4.add(v128.load(at, 16), floatsAt(bias, biasLane, 4, lanes)), 16);
      bias += biasRow;
    }
  }
  const hidden = f32x4.splat(-f32.POSITIVE_INFINITY);
  if (mask != 0) {
    const zero = i32x4.splat(0);
    for (let at = panel; at < end; at += 32) {
      v128.store(at, v128.bitselect(hidden, v128.load(at), i32x4.eq(bytesAt(mask, maskLane, 0, lanes), zero)));
      v128.store(at, v128.bitselect(hidden, v128.load(at, 16), i32x4.eq(bytesAt(mask, maskLane, 4, lanes), zero)), 16);
      mask += maskRow;
    }
  }
  // Lane 7 sees the least of the first rows, lane 0 of the last ones.
  if (row >= lane + 7 - before && row + rows - 1 <= lane + after) return;
  const lanes0 = i32x4.add(i32x4.splat(lane), i32x4(0, 1, 2, 3));
  const lanes1 = i32x4.add(lanes0, i32x4.splat(4));
  for (let at = panel; at < end; at += 32) {
    hide(at, hidden, row, lanes0, before, after);
    hide(at + 16, hidden, row, lanes1, before, after);
    row++;
  }
}

// @ts-ignore: decorator
@inline function hide(at: usize, hidden: v128, row: i32, lanes: v128, before: i32, after: i32): void {
  const distance = i32x4.sub(i32x4.splat(row), lanes);
  const outside = v128.or(i32x4.lt_s(distance, i32x4.splat(-before)), i32x4.gt_s(distance, i32x4.splat(after)));
  v128.store(at, v128.bitselect(hidden, v128.load(at), outside));
}

/** Four numbers, `stride` bytes apart; lanes that are not there take the last one's. */
// @ts-ignore: decorator
@inline export function floatsAt(at: usize, stride: usize, lane: i32, lanes: i32): v128 {
  if (stride == 0) return v128.load_splat<f32>(at);
  if (stride == 4 && lane + 4 <= lanes) return v128.load(at + (<usize>lane << 2));
  const last = lanes - 1;
  let x = v128.load32_zero(at + <usize>min(lane, last) * stride);
  x = v128.load32_lane(at + <usize>min(lane + 1, last) * stride, x, 1);
  x = v128.load32_lane(at + <usize>min(lane + 2, last) * stride, x, 2);
  return v128.load32_lane(at + <usize>min(lane + 3, last) * stride, x, 3);
}

/** Four bytes as numbers. */
// @ts-ignore: decorator
@inline export function bytesAt(at: usize, stride: usize, lane: i32, lanes: i32): v128 {
  const last = lanes - 1;
  let x = i32x4.splat(load<u8>(at + <usize>min(lane, last) * stride));
  x = i32x4.replace_lane(x, 1, load<u8>(at + <usize>min(lane + 1, last) * stride));
  x = i32x4.replace_lane(x, 2, load<u8>(at + <usize>min(lane + 2, last) * stride));
  return i32x4.replace_lane(x, 3, load<u8>(at + <usize>min(lane + 3, last) * stride));
}

/**
 * Adds a panel of `rows` score gradients to those of the bias. Strides in bytes, as of `shapeScores`; from row to row either
 * 4 or, where the bias is the same for all of them, 0. `spare` has place for 8 numbers.
 */
export function addBiasGradient(
  panel: usize, rows: i32, lanes: i32, to: usize, toRow: usize, toLane: usize, spare: usize,
): void {
  if (toRow != 0) {
    v128.store(spare, f32x4.splat(1));
    v128.store(spare, f32x4.splat(1), 16);
    writeLanes(panel, rows, lanes, spare, to, toLane, true);
    return;
  }
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  for (const end = panel + (<usize>rows << 5); panel < end; panel += 32) {
    sum0 = f32x4.add(sum0, v128.load(panel));
    sum1 = f32x4.add(sum1, v128.load(panel, 16));
  }
  v128.store(spare, sum0);
  v128.store(spare, sum1, 16);
  for (let lane = 0; lane < lanes; lane++) {
    store<f32>(to, load<f32>(to) + load<f32>(spare + (<usize>lane << 2)));
    to += toLane;
  }
}

/** Writes a panel [width, 8], each lane times its factor [8], as rows [lanes, width], `row` bytes apart; or adds it to them. */
export function writeLanes(
  panel: usize, width: i32, lanes: i32, factors: usize, to: usize, row: usize, add: bool,
): void {
  for (let lane = 0; lane < lanes; lane += 4) {
    const factor = v128.load(factors + (<usize>lane << 2));
    const left = lanes - lane;
    let from = panel + (<usize>lane << 2);
    let at = to + <usize>lane * row;
    let j = 0;
    for (; j + 4 <= width; j += 4) {
      const x0 = f32x4.mul(v128.load(from), factor);
      const x1 = f32x4.mul(v128.load(from, 32), factor);
      const x2 = f32x4.mul(v128.load(from, 64), factor);
      const x3 = f32x4.mul(v128.load(from, 96), factor);
      const lo01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
      const hi01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
      const lo23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const hi23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      put(at, v128.shuffle<f64>(lo01, lo23, 0, 2), add);
      if (left > 1) put(at + row, v128.shuffle<f64>(lo01, lo23, 1, 3), add);
      if (left > 2) put(at + 2 * row, v128.shuffle<f64>(hi01, hi23, 0, 2), add);
      if (left > 3) put(at + 3 * row, v128.shuffle<f64>(hi01, hi23, 1, 3), add);
      from += 128;
      at += 16;
    }
    for (; j < width; j++) {
      const x = f32x4.mul(v128.load(from), factor);
      putOne(at, f32x4.extract_lane(x, 0), add);
      if (left > 1) putOne(at + row, f32x4.extract_lane(x, 1), add);
      if (left > 2) putOne(at + 2 * row, f32x4.extract_lane(x, 2), add);
      if (left > 3) putOne(at + 3 * row, f32x4.extract_lane(x, 3), add);
      from += 32;
      at += 4;
    }
  }
}

// @ts-ignore: decorator
@inline function put(at: usize, x: v128, add: bool): void {
  v128.store(at, add ? f32x4.add(v128.load(at), x) : x);
}

// @ts-ignore: decorator
@inline function putOne(at: usize, x: f32, add: bool): void {
  store<f32>(at, add ? load<f32>(at) + x : x);
}
