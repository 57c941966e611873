import { madd } from "./simd";
import { MR, NR, packA, packB, tile } from "./tile";

const ROWS: i32 = 48;
const TILE_BYTES: usize = 192;

/** Bytes of scratch that `nearestRows` needs. */
export function nearestScratch(d: i32): usize {
  return (<usize>(ROWS * d) << 2) + <usize>ROWS * 32;
}

/**
 * Packs panels of 8 of `count` codes [count, d], `from` <= panel < `until`, and what their scores begin with; codes that
 * fill up the last panel are infinitely far. Euclidean scores begin with |c|^2; for cosine the codes are scaled to
 * length 1 and the scores begin with 0.
 */
export function packCodes(
  from: i32, until: i32, _scratch: usize, codes: usize, count: i32, d: i32, panels: usize, starts: usize, cosine: bool,
): void {
  for (let panel = from; panel < until; panel++) {
    const first = panel * NR;
    const to = panels + (<usize>(first * d) << 2);
    packB(to, codes + (<usize>(first * d) << 2), d, min(NR, count - first), 4, <usize>d << 2);
    for (let j = 0; j < NR; j++) {
      let start = f32.POSITIVE_INFINITY;
      if (first + j < count) {
        start = squaredLength(codes + (<usize>((first + j) * d) << 2), d);
        if (cosine) {
          scaleColumn(to + (<usize>j << 2), d, inverseLength(start));
          start = 0;
        }
      }
      store<f32>(starts + (<usize>(first + j) << 2), start);
    }
  }
}

/** 1 / |x| of a squared length; a zero vector stays what it is. */
// @ts-ignore: decorator
@inline function inverseLength(squared: f32): f32 {
  return squared > 0 ? <f32>1 / sqrt<f32>(squared) : 1;
}

function squaredLength(x: usize, d: i32): f32 {
  let sum: f32 = 0;
  for (const end = x + (<usize>d << 2); x < end; x += 4) sum += load<f32>(x) * load<f32>(x);
  return sum;
}

function scaleColumn(at: usize, d: i32, scale: f32): void {
  for (const end = at + <usize>d * 32; at < end; at += 32) store<f32>(at, load<f32>(at) * scale);
}

/**
 * Updates, for vectors `from` <= i < `until` of x [rows, d], the least start - 2 x.c so far (`scores`) and its code
 * (`indices`) with `count` packed codes, the first of which is code `base`.
 */
export function nearestRows(
  from: i32, until: i32, scratch: usize, x: usize, d: i32, panels: usize, starts: usize, base: i32, count: i32,
  scores: usize, indices: usize,
): void {
  const rowBytes = <usize>d << 2;
  const best = scratch + (<usize>(ROWS * d) << 2);
  for (let first = from; first < until; first += ROWS) {
    const block = min(ROWS, until - first);
    packA(scratch, x + <usize>first * rowBytes, block, d, rowBytes, 4, -2);
    for (let i = 0; i < ROWS; i++) {
      v128.store(best + <usize>i * 32, f32x4.splat(f32.POSITIVE_INFINITY));
      v128.store(best + <usize>i * 32, i32x4.splat(0), 16);
    }
    for (let j = 0; j < count; j += NR) {
      const panel = panels + (<usize>(j * d) << 2);
      const start = starts + (<usize>j << 2);
      for (let i = 0; i < block; i += MR) {
        compare(scratch + (<usize>(i * d) << 2), panel, d, start, base + j, best + <usize>i * 32);
      }
    }
    for (let i = 0; i < block; i++) {
      const at = <usize>(first + i) << 2;
      mergeLanes(best + <usize>i * 32, scores + at, indices + at);
    }
  }
}

/** The register tile of GEMM, begun with the codes' starts and ended in a running minimum. */
function compare(a: usize, b: usize, d: i32, start: usize, code: i32, best: usize): void {
  const s0 = v128.load(start);
  const s1 = v128.load(start, 16);
  let c00 = s0, c01 = s1, c10 = s0, c11 = s1, c20 = s0, c21 = s1;
  let c30 = s0, c31 = s1, c40 = s0, c41 = s1, c50 = s0, c51 = s1;
  for (const end = a + (<usize>(d * MR) << 2); a < end; a += 24) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load_splat<f32>(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load_splat<f32>(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load_splat<f32>(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load_splat<f32>(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load_splat<f32>(a, 20);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    b += 32;
  }
  const i0 = i32x4.add(i32x4.splat(code), i32x4(0, 1, 2, 3));
  const i1 = i32x4.add(i0, i32x4.splat(4));
  keep(best, c00, c01, i0, i1);
  keep(best + 32, c10, c11, i0, i1);
  keep(best + 64, c20, c21, i0, i1);
  keep(best + 96, c30, c31, i0, i1);
  keep(best + 128, c40, c41, i0, i1);
  keep(best + 160, c50, c51, i0, i1);
}

/** Strictly nearer only, in the order of the codes: of equal ones the first stays. */
// @ts-ignore: decorator
@inline function keep(best: usize, s0: v128, s1: v128, i0: v128, i1: v128): void {
  let score = v128.load(best);
  let index = v128.load(best, 16);
  let nearer = f32x4.lt(s0, score);
  score = v128.bitselect(s0, score, nearer);
  index = v128.bitselect(i0, index, nearer);
  nearer = f32x4.lt(s1, score);
  v128.store(best, v128.bitselect(s1, score, nearer));
  v128.store(best, v128.bitselect(i1, index, nearer), 16);
}

function mergeLanes(best: usize, score: usize, index: usize): void {
  let least = f32.POSITIVE_INFINITY;
  let code = i32.MAX_VALUE;
  for (let lane: usize = 0; lane < 16; lane += 4) {
    const s = load<f32>(best + lane);
    const i = load<i32>(best + lane, 16);
    if (s < least || (s == least && i < code)) {
      least = s;
      code = i;
    }
  }
  if (least < load<f32>(score)) {
    store<f32>(score, least);
    store<i32>(index, code);
  }
}

/** Bytes of scratch that `nearestTop` needs: packed rows and a tile of scores. */
export function nearestTopScratch(d: i32): usize {
  return (<usize>(ROWS * d) << 2) + TILE_BYTES;
}

/**
 * As `nearestRows`, but keeps the `top` least scores of each vector, in order: `scores` and `indices` are [rows, top].
 */
export function nearestTop(
  from: i32, until: i32, scratch: usize, x: usize, d: i32, panels: usize, starts: usize, base: i32, count: i32,
  scores: usize, indices: usize, top: i32,
): void {
  const rowBytes = <usize>d << 2;
  const found = scratch + (<usize>(ROWS * d) << 2);
  for (let first = from; first < until; first += ROWS) {
    const block = min(ROWS, until - first);
    packA(scratch, x + <usize>first * rowBytes, block, d, rowBytes, 4, -2);
    for (let j = 0; j < count; j += NR) {
      const panel = panels + (<usize>(j * d) << 2);
      const start = starts + (<usize>j << 2);
      for (let i = 0; i < block; i += MR) {
        for (let r = 0; r < MR; r++) {
          v128.store(found + <usize>r * 32, v128.load(start));
          v128.store(found + <usize>r * 32, v128.load(start, 16), 16);
        }
        tile(scratch + (<usize>(i * d) << 2), panel, d, found, 32, true);
        for (let r = 0; r < min(MR, block - i); r++) {
          const list = <usize>((first + i + r) * top) << 2;
          insertNearer(found + <usize>r * 32, base + j, scores + list, indices + list, top);
        }
      }
    }
  }
}

/** Puts those of 8 scores that are less than the last of a sorted list into it, after equal ones. */
function insertNearer(found: usize, code: i32, scores: usize, indices: usize, top: i32): void {
  const last = scores + (<usize>(top - 1) << 2);
  const limit = f32x4.splat(load<f32>(last));
  if (!v128.any_true(v128.or(f32x4.lt(v128.load(found), limit), f32x4.lt(v128.load(found, 16), limit)))) return;
  for (let j = 0; j < NR; j++) {
    const score = load<f32>(found + (<usize>j << 2));
    if (score < load<f32>(last)) insert(score, code + j, top - 1, scores, indices);
  }
}

/** Moves what is greater one place up, towards place `at`, whose content is lost, and puts the new pair below it. */
function insert(score: f32, index: i32, at: i32, scores: usize, indices: usize): void {
  for (; at > 0 && score < load<f32>(scores + (<usize>(at - 1) << 2)); at--) {
    store<f32>(scores + (<usize>at << 2), load<f32>(scores + (<usize>(at - 1) << 2)));
    store<i32>(indices + (<usize>at << 2), load<i32>(indices + (<usize>(at - 1) << 2)));
  }
  store<f32>(scores + (<usize>at << 2), score);
  store<i32>(indices + (<usize>at << 2), index);
}

/**
 * Replaces the `top` scores of vectors `from` <= i < `until` by distances, in order: the squared Euclidean one, or
 * 1 - cosine; a missing code, -1, is infinitely far. Vectors with a NaN get indices -1 and distances NaN.
 */
export function nearestDistances(
  from: i32, until: i32, _scratch: usize, x: usize, codes: usize, d: i32, indices: usize, distances: usize, cosine: bool,
  top: i32,
): void {
  for (let i = from; i < until; i++) {
    const row = x + (<usize>(i * d) << 2);
    const broken = hasNaN(row, d);
    const list = <usize>(i * top) << 2;
    for (let j = 0; j < top; j++) {
      const index = broken ? -1 : load<i32>(indices + list + (<usize>j << 2));
      let distance = broken ? f32.NaN : f32.POSITIVE_INFINITY;
      if (index >= 0) {
        const code = codes + (<usize>(index * d) << 2);
        distance = cosine ? cosineDistance(row, code, d) : squaredDistance(row, code, d);
      }
      insert(distance, index, j, distances + list, indices + list);
    }
  }
}

function squaredDistance(x: usize, code: usize, d: i32): f32 {
  let sum: f32 = 0;
  for (const end = x + (<usize>d << 2); x < end; x += 4) {
    const difference = load<f32>(x) - load<f32>(code);
    sum += difference * difference;
    code += 4;
  }
  return sum;
}

/** 1 - cos, which is 1 where a vector is zero. */
function cosineDistance(x: usize, code: usize, d: i32): f32 {
  const scale = inverseLength(squaredLength(x, d)) * inverseLength(squaredLength(code, d));
  let sum: f32 = 0;
  for (const end = x + (<usize>d << 2); x < end; x += 4) {
    sum += load<f32>(x) * load<f32>(code);
    code += 4;
  }
  return 1 - sum * scale;
}

function hasNaN(x: usize, d: i32): bool {
  for (const end = x + (<usize>d << 2); x < end; x += 4) if (load<f32>(x) != load<f32>(x)) return true;
  return false;
}
