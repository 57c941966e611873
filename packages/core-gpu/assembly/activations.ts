import { expLanes, tanhLanes } from "./exp";
import { madd } from "./simd";

// The functions, by the numbers that src/kernels/activation/wasm.ts has them under.
const SIGMOID: i32 = 0;
const TANH: i32 = 1;
const EXP: i32 = 2;
const SILU: i32 = 3;
const GELU: i32 = 4;
const GELU_TANH: i32 = 5;
const RELU: i32 = 6;

// As in exp.ts: variables, not constants.
let ONE: v128 = f32x4.splat(1);
let ZERO: v128 = f32x4.splat(0);
let HALF: v128 = f32x4.splat(0.5);
let MINUS_HALF: v128 = f32x4.splat(-0.5);
let DENSITY_0: v128 = f32x4.splat(0.3989422804); // 1 / sqrt(2 pi)
let NORMAL_STEP: v128 = f32x4.splat(0.2316419); // 0.3275911 / sqrt(2)
let NORMAL_1: v128 = f32x4.splat(0.254829592);
let NORMAL_2: v128 = f32x4.splat(-0.284496736);
let NORMAL_3: v128 = f32x4.splat(1.421413741);
let NORMAL_4: v128 = f32x4.splat(-1.453152027);
let NORMAL_5: v128 = f32x4.splat(1.061405429);
let BY_TANH_1: v128 = f32x4.splat(1.5957691216); // 2 sqrt(2 / pi)
let BY_TANH_3: v128 = f32x4.splat(0.0713548163); // 0.044715 times that
let BY_TANH_SLOPE: v128 = f32x4.splat(0.2140644488); // 3 times that

/**
 * Numbers `from` <= i < `until` of y = f(x).
 *
 * Floor: 4 operations (relu) to 40 (gelu) a number; 8 bytes moved.
 */
export function activate(from: i32, until: i32, _scratch: usize, f: i32, x: usize, y: usize): void {
  let at = <usize>from << 2;
  for (const whole = at + (<usize>((until - from) & ~3) << 2); at < whole; at += 16) {
    v128.store(y + at, value(f, v128.load(x + at)));
  }
  for (const end = <usize>until << 2; at < end; at += 4) {
    store<f32>(y + at, f32x4.extract_lane(value(f, v128.load_splat<f32>(x + at)), 0));
  }
}

/**
 * Numbers `from` <= i < `until` of dx = dy f', with f' from y = f(x) for sigmoid and tanh, else from x; the one that it takes
 * is `known`.
 *
 * Floor: 3 operations (relu) to 40 (gelu) a number; 12 bytes moved.
 */
export function activationGradient(
  from: i32, until: i32, _scratch: usize, f: i32, known: usize, dy: usize, dx: usize,
): void {
  let at = <usize>from << 2;
  for (const whole = at + (<usize>((until - from) & ~3) << 2); at < whole; at += 16) {
    v128.store(dx + at, slope(f, v128.load(known + at), v128.load(dy + at)));
  }
  for (const end = <usize>until << 2; at < end; at += 4) {
    const lanes = slope(f, v128.load_splat<f32>(known + at), v128.load_splat<f32>(dy + at));
    store<f32>(dx + at, f32x4.extract_lane(lanes, 0));
  }
}

// @ts-ignore: decorator
@inline function value(f: i32, x: v128): v128 {
  if (f == SIGMOID) return sigmoid(x);
  if (f == TANH) return tanhLanes(x);
  if (f == EXP) return expLanes(x);
  if (f == SILU) return f32x4.mul(x, sigmoid(x));
  if (f == GELU) return f32x4.mul(x, normal(x, expLanes(f32x4.mul(f32x4.mul(x, x), MINUS_HALF))));
  if (f == GELU_TANH) return f32x4.mul(x, normalByTanh(x));
  return f32x4.max(x, ZERO);
}

// @ts-ignore: decorator
@inline function slope(f: i32, known: v128, dy: v128): v128 {
  if (f == RELU) return v128.and(dy, f32x4.gt(known, ZERO));
  if (f == SIGMOID) return f32x4.mul(dy, f32x4.mul(known, f32x4.sub(ONE, known)));
  if (f == TANH) return f32x4.mul(dy, f32x4.sub(ONE, f32x4.mul(known, known)));
  if (f == SILU) {
    const s = sigmoid(known);
    return f32x4.mul(dy, f32x4.mul(s, madd(known, f32x4.sub(ONE, s), ONE)));
  }
  if (f == GELU) {
    const density = expLanes(f32x4.mul(f32x4.mul(known, known), MINUS_HALF));
    return f32x4.mul(dy, madd(f32x4.mul(known, DENSITY_0), density, normal(known, density)));
  }
  if (f == GELU_TANH) {
    const part = normalByTanh(known);
    const inner = madd(f32x4.mul(known, known), BY_TANH_SLOPE, BY_TANH_1);
    return f32x4.mul(dy, madd(f32x4.mul(f32x4.mul(known, part), f32x4.sub(ONE, part)), inner, part));
  }
  return f32x4.mul(dy, known);
}

// @ts-ignore: decorator
@inline function sigmoid(x: v128): v128 {
  return f32x4.div(ONE, f32x4.add(ONE, expLanes(f32x4.neg(x))));
}

/**
 * The normal distribution function at x, given exp(-x^2 / 2); to 1.5e-7, and where it is small to as much of itself as the
 * polynomial holds (Abramowitz and Stegun 7.1.26).
 */
// @ts-ignore: decorator
@inline function normal(x: v128, density: v128): v128 {
  const size = f32x4.abs(x);
  const t = f32x4.div(ONE, madd(size, NORMAL_STEP, ONE));
  let p = madd(NORMAL_5, t, NORMAL_4);
  p = madd(p, t, NORMAL_3);
  p = madd(p, t, NORMAL_2);
  p = madd(p, t, NORMAL_1);
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(p, t), density), HALF);
  return v128.bitselect(tail, f32x4.sub(ONE, tail), f32x4.lt(x, ZERO));
}

/** (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, which is a sigmoid of twice that. */
// @ts-ignore: decorator
@inline function normalByTanh(x: v128): v128 {
  const inner = madd(f32x4.mul(x, x), BY_TANH_3, BY_TANH_1);
  return sigmoid(f32x4.mul(x, inner));
}
