import { sumLanes } from "./simd";

// A float32 sum of many numbers loses digits to the size of the sum: rows are first added up this many at a time.
const CHUNK: i32 = 128;

/** The sum of `count` numbers. */
export function sumFloats(x: usize, count: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i = 0;
  for (; i + 16 <= count; i += 16) {
    s0 = f32x4.add(s0, v128.load(x));
    s1 = f32x4.add(s1, v128.load(x, 16));
    s2 = f32x4.add(s2, v128.load(x, 32));
    s3 = f32x4.add(s3, v128.load(x, 48));
    x += 64;
  }
  for (; i + 4 <= count; i += 4) {
    s0 = f32x4.add(s0, v128.load(x));
    x += 16;
  }
  let sum = sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  for (; i < count; i++) {
    sum += load<f32>(x);
    x += 4;
  }
  return sum;
}

/**
 * sums [i] = factor times the sum of numbers i * d ... of x [size], d of them or what is left; for `from` <= i < `until`.
 *
 * Floor: n = (until - from) d additions, 4 n bytes read.
 */
export function rowSums(from: i32, until: i32, _scratch: usize, x: usize, sums: usize, d: i32, size: i32, factor: f32): void {
  for (let i = from; i < until; i++) {
    const count = min(d, size - i * d);
    store<f32>(sums + (<usize>i << 2), factor * sumFloats(x + (<usize>i * <usize>d << 2), count));
  }
}

/**
 * Columns `from` <= j < `until` of sums [outer, n] = factor times the sums over the middle of x [outer, rows, n].
 *
 * Floor: outer * rows * (until - from) additions, as many numbers of 4 bytes read.
 */
export function columnSums(
  from: i32, until: i32, _scratch: usize, x: usize, sums: usize, outer: i32, rows: i32, n: i32, factor: f32,
): void {
  for (let i = 0; i < outer; i++) {
    const at = <usize>i * <usize>rows * <usize>n + <usize>from << 2;
    sumColumns(x + at, <usize>n << 2, rows, until - from, sums + (<usize>i * <usize>n + <usize>from << 2), factor);
  }
}

/** Parts `from` <= i < `until` of such sums of x [rows, n]: part i, [n] at parts + i * n, covers `span` rows from i * span. */
export function columnParts(
  from: i32, until: i32, _scratch: usize, x: usize, parts: usize, rows: i32, n: i32, span: i32,
): void {
  const row = <usize>n << 2;
  for (let i = from; i < until; i++) {
    sumColumns(x + <usize>(i * span) * row, row, min(span, rows - i * span), n, parts + <usize>i * row, 1);
  }
}

/** to [n] = factor times the sum of `rows` rows of n numbers, `stride` bytes apart. */
export function sumColumns(x: usize, stride: usize, rows: i32, n: i32, to: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  let j = 0;
  // 16 columns are a line of the cache.
  for (; j + 16 <= n; j += 16) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let at = x;
    for (let row = 0; row < rows; row += CHUNK) {
      let p0 = f32x4.splat(0), p1 = p0, p2 = p0, p3 = p0;
      for (let left = min(CHUNK, rows - row); left > 0; left--) {
        p0 = f32x4.add(p0, v128.load(at));
        p1 = f32x4.add(p1, v128.load(at, 16));
        p2 = f32x4.add(p2, v128.load(at, 32));
        p3 = f32x4.add(p3, v128.load(at, 48));
        at += stride;
      }
      s0 = f32x4.add(s0, p0);
      s1 = f32x4.add(s1, p1);
      s2 = f32x4.add(s2, p2);
      s3 = f32x4.add(s3, p3);
    }
    v128.store(to, f32x4.mul(s0, factors));
    v128.store(to, f32x4.mul(s1, factors), 16);
    v128.store(to, f32x4.mul(s2, factors), 32);
    v128.store(to, f32x4.mul(s3, factors), 48);
    x += 64;
    to += 64;
  }
  for (; j + 4 <= n; j += 4) {
    let sum = f32x4.splat(0);
    let at = x;
    for (let row = 0; row < rows; row += CHUNK) {
      let part = f32x4.splat(0);
      for (let left = min(CHUNK, rows - row); left > 0; left--) {
        part = f32x4.add(part, v128.load(at));
        at += stride;
      }
      sum = f32x4.add(sum, part);
    }
    v128.store(to, f32x4.mul(sum, factors));
    x += 16;
    to += 16;
  }
  for (; j < n; j++) {
    let sum: f32 = 0;
    let at = x;
    for (let row = 0; row < rows; row += CHUNK) {
      let part: f32 = 0;
      for (let left = min(CHUNK, rows - row); left > 0; left--) {
        part += load<f32>(at);
        at += stride;
      }
      sum += part;
    }
    store<f32>(to, factor * sum);
    x += 4;
    to += 4;
  }
}

/**
 * Rows `from` <= i < `until` of out [outer, middle, n], seen as outer * middle rows: each is factor times row i / middle of
 * x [outer, n]. It is the gradient of the sums above.
 *
 * Floor: 4 n bytes written a row.
 */
export function spreadRows(
  from: i32, until: i32, _scratch: usize, x: usize, out: usize, middle: i32, n: i32, factor: f32,
): void {
  const factors = f32x4.splat(factor);
  for (let i = from; i < until; ) {
    const end = min(until, (i / middle + 1) * middle);
    const row = x + (<usize>(i / middle) * <usize>n << 2);
    let to = out + (<usize>i * <usize>n << 2);
    if (n == 1) {
      const value = factor * load<f32>(row);
      const values = f32x4.splat(value);
      for (; i + 4 <= end; i += 4) {
        v128.store(to, values);
        to += 16;
      }
      for (; i < end; i++) {
        store<f32>(to, value);
        to += 4;
      }
    } else {
      for (; i < end; i++) {
        let j: usize = 0;
        for (; j + 4 <= <usize>n; j += 4) v128.store(to + (j << 2), f32x4.mul(v128.load(row + (j << 2)), factors));
        for (; j < <usize>n; j++) store<f32>(to + (j << 2), factor * load<f32>(row + (j << 2)));
        to += <usize>n << 2;
      }
    }
  }
}
