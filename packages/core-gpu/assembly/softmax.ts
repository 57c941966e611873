import { expLanes, logLanes } from "./exp";
import { sumFloats } from "./reductions";
import { sumLanes } from "./simd";

/**
 * Rows `from` <= i < `until` of y [rows, d] = exp(x - max x) / their sum.
 *
 * Floor: d exponentials and 4 d other operations a row; 8 d bytes moved.
 * Reached by two threads of an EPYC: 46 % of the rate of copying, with the gradient 68 %.
 */
export function softmaxRows(from: i32, until: i32, _scratch: usize, x: usize, y: usize, d: i32): void {
  for (let i = from; i < until; i++) {
    const at = <usize>i * <usize>d << 2;
    const sum = exponentials(x + at, y + at, d, largest(x + at, d));
    scaleFloats(y + at, <f32>1 / sum, d);
  }
}

/** Rows of y [rows, d] = x - max x - log of the sum of exp(x - max x); the row of y holds the exponentials in between. */
export function logSoftmaxRows(from: i32, until: i32, _scratch: usize, x: usize, y: usize, d: i32): void {
  for (let i = from; i < until; i++) {
    let read = x + (<usize>i * <usize>d << 2);
    let write = y + (<usize>i * <usize>d << 2);
    const most = largest(read, d);
    const sum = exponentials(read, write, d, most);
    // Of a sum that is no number, the logarithm is none either.
    const rest: f32 = sum < f32.POSITIVE_INFINITY ? f32x4.extract_lane(logLanes(f32x4.splat(sum)), 0) : sum;
    const mosts = f32x4.splat(most);
    const rests = f32x4.splat(rest);
    let j = 0;
    for (; j + 4 <= d; j += 4) {
      v128.store(write, f32x4.sub(f32x4.sub(v128.load(read), mosts), rests));
      read += 16;
      write += 16;
    }
    for (; j < d; j++) {
      store<f32>(write, load<f32>(read) - most - rest);
      read += 4;
      write += 4;
    }
  }
}

/** Rows of dx [rows, d] = y (dy - the row's sum of y dy). Floor: 4 d operations a row, 12 d bytes moved. */
export function softmaxGradientRows(
  from: i32, until: i32, _scratch: usize, y: usize, dy: usize, dx: usize, d: i32,
): void {
  for (let i = from; i < until; i++) {
    let at = <usize>i * <usize>d << 2;
    const sum = dot(y + at, dy + at, d);
    const sums = f32x4.splat(sum);
    let j = 0;
    for (; j + 4 <= d; j += 4) {
      v128.store(dx + at, f32x4.mul(v128.load(y + at), f32x4.sub(v128.load(dy + at), sums)));
      at += 16;
    }
    for (; j < d; j++) {
      store<f32>(dx + at, load<f32>(y + at) * (load<f32>(dy + at) - sum));
      at += 4;
    }
  }
}

/** Rows of dx [rows, d] = dy - exp(y) times the row's sum of dy. Floor: d exponentials a row, 12 d bytes moved. */
export function logSoftmaxGradientRows(
  from: i32, until: i32, _scratch: usize, y: usize, dy: usize, dx: usize, d: i32,
): void {
  for (let i = from; i < until; i++) {
    let at = <usize>i * <usize>d << 2;
    const sum = sumFloats(dy + at, d);
    const sums = f32x4.splat(sum);
    let j = 0;
    for (; j + 4 <= d; j += 4) {
      v128.store(dx + at, f32x4.sub(v128.load(dy + at), f32x4.mul(expLanes(v128.load(y + at)), sums)));
      at += 16;
    }
    for (; j < d; j++) {
      store<f32>(dx + at, load<f32>(dy + at) - exponential(load<f32>(y + at)) * sum);
      at += 4;
    }
  }
}

// @ts-ignore: decorator
@inline function exponential(x: f32): f32 {
  return f32x4.extract_lane(expLanes(f32x4.splat(x)), 0);
}

function largest(x: usize, count: i32): f32 {
  let most: f32 = f32.NEGATIVE_INFINITY;
  let i = 0;
  if (count >= 8) {
    // A NaN is passed over here, and comes back with its exponential.
    let m0 = v128.load(x), m1 = v128.load(x, 16);
    for (; i + 8 <= count; i += 8) {
      m0 = f32x4.pmax(m0, v128.load(x));
      m1 = f32x4.pmax(m1, v128.load(x, 16));
      x += 32;
    }
    const lanes = f32x4.pmax(m0, m1);
    const two = f32x4.pmax(lanes, v128.shuffle<f32>(lanes, lanes, 2, 3, 0, 1));
    most = max(f32x4.extract_lane(two, 0), f32x4.extract_lane(two, 1));
  }
  for (; i < count; i++) {
    most = max(most, load<f32>(x));
    x += 4;
  }
  return most;
}

/** y [count] = exp(x - most); returns their sum. */
function exponentials(x: usize, y: usize, count: i32, most: f32): f32 {
  const mosts = f32x4.splat(most);
  let sums = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const e = expLanes(f32x4.sub(v128.load(x), mosts));
    sums = f32x4.add(sums, e);
    v128.store(y, e);
    x += 16;
    y += 16;
  }
  let sum = sumLanes(sums);
  for (; i < count; i++) {
    const e = exponential(load<f32>(x) - most);
    sum += e;
    store<f32>(y, e);
    x += 4;
    y += 4;
  }
  return sum;
}

function dot(a: usize, b: usize, count: i32): f32 {
  let s0 = f32x4.splat(0), s1 = s0;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    s0 = f32x4.add(s0, f32x4.mul(v128.load(a), v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(v128.load(a, 16), v128.load(b, 16)));
    a += 32;
    b += 32;
  }
  let sum = sumLanes(f32x4.add(s0, s1));
  for (; i < count; i++) {
    sum += load<f32>(a) * load<f32>(b);
    a += 4;
    b += 4;
  }
  return sum;
}

function scaleFloats(x: usize, factor: f32, count: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(x, f32x4.mul(v128.load(x), factors));
    x += 16;
  }
  for (; i < count; i++) {
    store<f32>(x, load<f32>(x) * factor);
    x += 4;
  }
}
