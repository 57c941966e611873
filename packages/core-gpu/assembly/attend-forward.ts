import {
  LEAST, Problem, STEP, biasOf, columnPanels, lengthOf, maskOf, packColumns, packRows, padded, rowPanels, shapeScores,
  writeLanes,
} from "./attend";
import { expLanes, logLanes } from "./exp";
import { MR, NR, packB, tile } from "./tile";

/** Queries that go over the keys together. */
const BLOCK: i32 = 64;

/** Bytes that `attendPack` writes for each group. */
export function attendPackedBytes(keys: i32, width: i32, valueWidth: i32): usize {
  return rowPanels(keys, width) + columnPanels(keys, valueWidth);
}

/** Packs the keys, scaled, and the values of groups `from` <= i < `until`, counted from p.group. */
export function attendPack(from: i32, until: i32, _scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  for (let i = from; i < until; i++) {
    const group = p.group + i;
    const count = lengthOf(p, group / p.groups);
    const to = p.packed + <usize>i * attendPackedBytes(p.keys, p.width, p.valueWidth);
    packRows(to, p.k + (<usize>group * <usize>p.keys * <usize>p.width << 2), 0, count, p.width, p.scale);
    const values = p.v + (<usize>group * <usize>p.keys * <usize>p.valueWidth << 2);
    packColumns(to + rowPanels(p.keys, p.width), values, count, p.valueWidth);
  }
}

/** Blocks of queries of one head. */
export function attendBlocks(queries: i32): i32 {
  return (queries + BLOCK - 1) / BLOCK;
}

/** Bytes of scratch that `attendRows` needs: queries, output and statistics of a block, and scores of a step. */
export function attendScratch(width: i32, valueWidth: i32): usize {
  return <usize>(BLOCK / NR) * (<usize>(width + padded(valueWidth)) * 32 + 64) + <usize>(STEP + MR) * 32;
}

/**
 * Attention of blocks of queries `from` <= i < `until`: all blocks of head p.head, then of the next.
 *
 * Keys come in steps; each keeps the running maximum m, the sum l of exp(s - m) and the output times l.
 */
export function attendRows(from: i32, until: i32, scratch: usize, at: usize): void {
  const p = changetype<Problem>(at);
  const blocks = attendBlocks(p.queries);
  const perGroup = p.heads / p.groups;
  const bytes = attendPackedBytes(p.keys, p.width, p.valueWidth);
  for (let i = from; i < until; i++) {
    const head = p.head + i / blocks;
    const keys = p.packed + <usize>(head / perGroup - p.group) * bytes;
    attendBlock(p, head, i % blocks * BLOCK, keys, keys + rowPanels(p.keys, p.width), scratch);
  }
}

function attendBlock(p: Problem, head: i32, first: i32, keys: usize, values: usize, scratch: usize): void {
  const batch = head / p.heads;
  const rows = min(BLOCK, p.queries - first);
  const panels = (rows + NR - 1) / NR;
  const width = p.width;
  const queryBytes = <usize>width * 32;
  const sumBytes = <usize>padded(p.valueWidth) * 32;
  const sums = scratch + <usize>panels * queryBytes;
  const statistics = sums + <usize>panels * sumBytes;
  const scores = statistics + <usize>panels * 64;
  const row = head * p.queries + first;
  packB(scratch, p.q + (<usize>row * <usize>width << 2), width, rows, 4, <usize>width << 2);
  memory.fill(sums, 0, <usize>panels * sumBytes);

  const sink = p.sinks == 0 ? LEAST : max<f32>(LEAST, load<f32>(p.sinks + (<usize>(head % p.heads) << 2)));
  for (let i = 0; i < panels; i++) {
    const m = statistics + <usize>i * 64;
    const one = f32x4.splat(sink > LEAST ? 1 : 0);
    v128.store(m, f32x4.splat(sink));
    v128.store(m, f32x4.splat(sink), 16);
    v128.store(m, one, 32);
    v128.store(m, one, 48);
  }

  const length = lengthOf(p, batch);
  const position = length - p.queries + first;
  const bias = biasOf(p, batch, head % p.heads);
  const mask = maskOf(p, batch, head % p.heads);
  const end = min(length, position + rows + p.right);
  for (let step = max(0, position - p.left) / STEP * STEP; step < end; step += STEP) {
    for (let i = 0; i < panels; i++) {
      const lanes = min(NR, rows - i * NR);
      const lane = position + i * NR;
      const start = max(step, max(0, lane - p.left) / MR * MR);
      const count = min(min(step + STEP, length), lane + lanes + p.right) - start;
      if (count <= 0) continue;
      const query = scratch + <usize>i * queryBytes;
      for (let j = 0; j < count; j += MR) {
        tile(keys + (<usize>(start + j) * <usize>width << 2), query, width, scores + <usize>j * 32, 32, false);
      }
      const firstRow = <usize>(first + i * NR);
      shapeScores(
        p, scores, count, start, lane, p.left, p.right, lanes,
        bias == 0 ? 0 : bias + firstRow * p.biasQuery + <usize>start * p.biasKey, p.biasKey, p.biasQuery,
        mask == 0 ? 0 : mask + firstRow * p.maskQuery + <usize>start * p.maskKey, p.maskKey, p.maskQuery, 0,
      );
      const sum = sums + <usize>i * sumBytes;
      exponentials(scores, count, statistics + <usize>i * 64, sum, p.valueWidth);
      const value = values + <usize>step * (sumBytes >> 3) + <usize>(start - step) * 24;
      for (let j = 0; j < p.valueWidth; j += MR) {
        tile(value + (<usize>(j * STEP) << 2), scores, count, sum + <usize>j * 32, 32, true);
      }
    }
  }
  for (let i = 0; i < panels; i++) {
    const to = row + i * NR;
    finish(p, statistics + <usize>i * 64, sums + <usize>i * sumBytes, to, min(NR, rows - i * NR));
  }
}

/** Turns scores [rows, 8] into exp(s - m), with m and l [8] and the sums [width, 8] brought up to the new maximum. */
function exponentials(scores: usize, rows: i32, statistics: usize, sums: usize, width: i32): void {
  const end = scores + (<usize>rows << 5);
  const old0 = v128.load(statistics);
  const old1 = v128.load(statistics, 16);
  let m0 = old0;
  let m1 = old1;
  for (let at = scores; at < end; at += 32) {
    m0 = f32x4.pmax(m0, v128.load(at));
    m1 = f32x4.pmax(m1, v128.load(at, 16));
  }
  let l0 = v128.load(statistics, 32);
  let l1 = v128.load(statistics, 48);
  if (v128.any_true(v128.or(f32x4.ne(m0, old0), f32x4.ne(m1, old1)))) {
    const c0 = expLanes(f32x4.sub(old0, m0));
    const c1 = expLanes(f32x4.sub(old1, m1));
    l0 = f32x4.mul(l0, c0);
    l1 = f32x4.mul(l1, c1);
    v128.store(statistics, m0);
    v128.store(statistics, m1, 16);
    for (const last = sums + <usize>width * 32; sums < last; sums += 32) {
      v128.store(sums, f32x4.mul(v128.load(sums), c0));
      v128.store(sums, f32x4.mul(v128.load(sums, 16), c1), 16);
    }
  }
  for (let at = scores; at < end; at += 32) {
    const p0 = expLanes(f32x4.sub(v128.load(at), m0));
    const p1 = expLanes(f32x4.sub(v128.load(at, 16), m1));
    l0 = f32x4.add(l0, p0);
    l1 = f32x4.add(l1, p1);
    v128.store(at, p0);
    v128.store(at, p1, 16);
  }
  v128.store(statistics, l0, 32);
  v128.store(statistics, l1, 48);
}

/** Writes output and log-sum-exp of a panel: o = sums / l, m + ln l; 0 and -Infinity where l = 0. */
function finish(p: Problem, statistics: usize, sums: usize, row: i32, lanes: i32): void {
  const l0 = v128.load(statistics, 32);
  const l1 = v128.load(statistics, 48);
  v128.store(statistics, logSum(v128.load(statistics), l0));
  v128.store(statistics, logSum(v128.load(statistics, 16), l1), 16);
  memory.copy(p.logSumExp + (<usize>row << 2), statistics, <usize>lanes << 2);
  const to = p.output + (<usize>row * <usize>p.valueWidth << 2);
  v128.store(statistics, inverse(l0));
  v128.store(statistics, inverse(l1), 16);
  writeLanes(sums, p.valueWidth, lanes, statistics, to, <usize>p.valueWidth << 2, false);
}

// @ts-ignore: decorator
@inline function logSum(m: v128, l: v128): v128 {
  const none = f32x4.eq(l, f32x4.splat(0));
  const sum = v128.bitselect(f32x4.splat(-f32.POSITIVE_INFINITY), f32x4.add(m, logLanes(l)), none);
  return v128.bitselect(l, sum, f32x4.ne(l, l)); // NaN
}

// @ts-ignore: decorator
@inline function inverse(l: v128): v128 {
  const none = f32x4.eq(l, f32x4.splat(0));
  return v128.andnot(f32x4.div(f32x4.splat(1), l), none);
}
