import { madd } from "./simd";

/**
 * exp of four numbers, to 1.2e-7 of each: 0 below -87, Infinity above 88.73, NaN of NaN.
 *
 * exp(x) = 2^n exp(r), |r| <= ln(2) / 2, and a polynomial for exp(r).
 */
// @ts-ignore: decorator
@inline export function expLanes(x: v128): v128 {
  // Adding 1.5 * 2^23 leaves the nearest whole number in the last bits; + 126, it is the exponent of 2^(n - 1).
  const shift = f32x4.splat(12583038);
  // These two are one instruction each, and leave NaN.
  x = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-87.33)), f32x4.splat(89));
  const shifted = madd(x, f32x4.splat(1.44269504), shift);
  const n = f32x4.sub(shifted, shift);
  // ln(2) in two parts, of which the first times n is exact.
  const r = madd(n, f32x4.splat(2.12194440e-4), madd(n, f32x4.splat(-0.693359375), x));
  // 2 exp(r), so that n = 128 stays in range.
  const two = f32x4.splat(2);
  let y = madd(f32x4.splat(3.9751383e-4), r, f32x4.splat(2.7963999014e-3));
  y = madd(y, r, f32x4.splat(1.66669038146e-2));
  y = madd(y, r, f32x4.splat(8.3331591788e-2));
  y = madd(y, r, f32x4.splat(3.3333330918e-1));
  y = madd(y, r, f32x4.splat(1.0000000240));
  y = madd(y, f32x4.mul(r, r), madd(r, two, two));
  return f32x4.mul(y, i32x4.shl(shifted, 23));
}

/** tanh of four numbers, to 2e-7 of each. */
// @ts-ignore: decorator
@inline export function tanhLanes(x: v128): v128 {
  const one = f32x4.splat(1);
  const square = f32x4.mul(x, x);
  let near = madd(f32x4.splat(-5.70498872745e-3), square, f32x4.splat(2.06390887954e-2));
  near = madd(near, square, f32x4.splat(-5.37397155531e-2));
  near = madd(near, square, f32x4.splat(1.33314422036e-1));
  near = madd(near, square, f32x4.splat(-3.33332819422e-1));
  near = madd(f32x4.mul(near, square), x, x);
  const size = f32x4.abs(x);
  const power = expLanes(f32x4.add(size, size));
  const far = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(power, one)));
  const signed = v128.bitselect(x, far, i32x4.splat(0x80000000));
  return v128.bitselect(near, signed, f32x4.lt(size, f32x4.splat(0.625)));
}

/** Natural logarithm of four normal numbers > 0, to 1e-7 of each or, near 1, of 1. */
// @ts-ignore: decorator
@inline export function logLanes(x: v128): v128 {
  // x = 2^n (1 + y), 1 + y between the roots of 1/2 and 2
  const offset = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const n = f32x4.convert_i32x4_s(i32x4.shr_s(offset, 23));
  const y = f32x4.sub(i32x4.add(v128.and(offset, i32x4.splat(0x7fffff)), i32x4.splat(0x3f3504f3)), f32x4.splat(1));
  const square = f32x4.mul(y, y);
  let sum = madd(f32x4.splat(7.0376836292e-2), y, f32x4.splat(-1.1514610310e-1));
  sum = madd(sum, y, f32x4.splat(1.1676998740e-1));
  sum = madd(sum, y, f32x4.splat(-1.2420140846e-1));
  sum = madd(sum, y, f32x4.splat(1.4249322787e-1));
  sum = madd(sum, y, f32x4.splat(-1.6668057665e-1));
  sum = madd(sum, y, f32x4.splat(2.0000714765e-1));
  sum = madd(sum, y, f32x4.splat(-2.4999993993e-1));
  sum = madd(sum, y, f32x4.splat(3.3333331174e-1));
  sum = madd(n, f32x4.splat(-2.12194440e-4), f32x4.mul(f32x4.mul(sum, y), square));
  sum = f32x4.add(madd(f32x4.splat(-0.5), square, sum), y);
  return madd(n, f32x4.splat(0.693359375), sum);
}
