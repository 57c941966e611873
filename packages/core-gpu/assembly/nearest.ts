import { madd } from "./simd";
import { MR, NR, packA, packB } from "./tile";

const ROWS: i32 = 48;

/** Bytes of scratch that `nearestRows` needs. */
export function nearestScratch(d: i32): usize {
  return (<usize>(ROWS * d) << 2) + <usize>ROWS * 32;
}

/** Packs codes [count, d] into panels of 8, and their |c|^2; codes that fill up the last panel are infinitely far. */
export function packCodes(codes: usize, count: i32, d: i32, panels: usize, norms: usize): void {
  packB(panels, codes, d, count, 4, <usize>d << 2);
  const padded = (count + NR - 1) / NR * NR;
  for (let j = 0; j < padded; j++) {
    let sum: f32 = f32.POSITIVE_INFINITY;
    if (j < count) {
      sum = 0;
      let at = codes + (<usize>(j * d) << 2);
      for (let p = 0; p < d; p++) {
        const x = load<f32>(at);
        sum += x * x;
        at += 4;
      }
    }
    store<f32>(norms + (<usize>j << 2), sum);
  }
}

/**
 * Updates, for `rows` vectors [rows, d], the least |c|^2 - 2 x.c so far (`scores`) and its code (`indices`) with `count`
 * packed codes, the first of which is code `base`.
 */
export function nearestRows(
  x: usize, rows: i32, d: i32, panels: usize, norms: usize, base: i32, count: i32,
  scores: usize, indices: usize, scratch: usize,
): void {
  const rowBytes = <usize>d << 2;
  const best = scratch + (<usize>(ROWS * d) << 2);
  for (let start = 0; start < rows; start += ROWS) {
    const block = min(ROWS, rows - start);
    packA(scratch, x + <usize>start * rowBytes, block, d, rowBytes, 4, -2);
    for (let i = 0; i < ROWS; i++) {
      v128.store(best + <usize>i * 32, f32x4.splat(f32.POSITIVE_INFINITY));
      v128.store(best + <usize>i * 32, i32x4.splat(0), 16);
    }
    for (let j = 0; j < count; j += NR) {
      const panel = panels + (<usize>(j * d) << 2);
      const norm = norms + (<usize>j << 2);
      for (let i = 0; i < block; i += MR) {
        compare(scratch + (<usize>(i * d) << 2), panel, d, norm, base + j, best + <usize>i * 32);
      }
    }
    for (let i = 0; i < block; i++) {
      const at = <usize>(start + i) << 2;
      mergeLanes(best + <usize>i * 32, scores + at, indices + at);
    }
  }
}

/** The register tile of GEMM, started at |c|^2 and ended in a running minimum. */
function compare(a: usize, b: usize, d: i32, norm: usize, code: i32, best: usize): void {
  const n0 = v128.load(norm);
  const n1 = v128.load(norm, 16);
  let c00 = n0, c01 = n1, c10 = n0, c11 = n1, c20 = n0, c21 = n1;
  let c30 = n0, c31 = n1, c40 = n0, c41 = n1, c50 = n0, c51 = n1;
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

/** Replaces scores by exact squared distances; vectors with a NaN get index -1 and distance NaN. */
export function nearestDistances(x: usize, codes: usize, rows: i32, d: i32, indices: usize, distances: usize): void {
  for (let i = 0; i < rows; i++) {
    let at = x + (<usize>(i * d) << 2);
    let code = codes + (<usize>(load<i32>(indices + (<usize>i << 2)) * d) << 2);
    let sum: f32 = 0;
    let broken = false;
    for (let p = 0; p < d; p++) {
      const value = load<f32>(at);
      const difference = value - load<f32>(code);
      broken = broken || value != value;
      sum += difference * difference;
      at += 4;
      code += 4;
    }
    if (broken) store<i32>(indices + (<usize>i << 2), -1);
    store<f32>(distances + (<usize>i << 2), sum);
  }
}
