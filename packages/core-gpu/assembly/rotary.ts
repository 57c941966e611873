import { copyFloats } from "./simd";

/**
 * Turns `pairs` pairs of the dimensions from `start` on of rows `from` <= i < `until` of x [..., length, d] by the angles
 * whose cosine and sine are [length, pairs], times `direction`; copies the rest.
 */
export function rotateRows(
  from: i32, until: i32, _scratch: usize, x: usize, cos: usize, sin: usize, out: usize,
  length: i32, d: i32, pairs: i32, start: i32, interleaved: bool, direction: f32,
): void {
  const row = <usize>d << 2;
  const first = <usize>start << 2;
  const rest = start + 2 * pairs;
  for (let i = from; i < until; i++) {
    const at = x + <usize>i * row;
    const to = out + <usize>i * row;
    const table = <usize>(i % length * pairs) << 2;
    copyFloats(to, at, start);
    if (interleaved) rotateNeighbours(to + first, at + first, cos + table, sin + table, pairs, direction);
    else rotateHalves(to + first, at + first, cos + table, sin + table, pairs, direction);
    copyFloats(to + (<usize>rest << 2), at + (<usize>rest << 2), d - rest);
  }
}

/** (a_i, b_i) = (x_i, x_(i + pairs)) becomes (a cos - b sin, a sin + b cos). */
// @ts-ignore: decorator
@inline function rotateHalves(to: usize, x: usize, cos: usize, sin: usize, pairs: i32, direction: f32): void {
  const half = <usize>pairs << 2;
  const sign = f32x4.splat(direction);
  let i = 0;
  for (; i + 4 <= pairs; i += 4) {
    const a = v128.load(x);
    const b = v128.load(x + half);
    const c = v128.load(cos);
    const s = f32x4.mul(v128.load(sin), sign);
    v128.store(to, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(to + half, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)));
    x += 16;
    to += 16;
    cos += 16;
    sin += 16;
  }
  for (; i < pairs; i++) {
    const a = load<f32>(x);
    const b = load<f32>(x + half);
    const c = load<f32>(cos);
    const s = load<f32>(sin) * direction;
    store<f32>(to, a * c - b * s);
    store<f32>(to + half, a * s + b * c);
    x += 4;
    to += 4;
    cos += 4;
    sin += 4;
  }
}

/** The same for pairs (x_2i, x_(2i + 1)). */
// @ts-ignore: decorator
@inline function rotateNeighbours(to: usize, x: usize, cos: usize, sin: usize, pairs: i32, direction: f32): void {
  const sign = f32x4.mul(f32x4.splat(direction), f32x4(-1, 1, -1, 1));
  let i = 0;
  for (; i + 2 <= pairs; i += 2) {
    const ab = v128.load(x);
    const ba = v128.shuffle<f32>(ab, ab, 1, 0, 3, 2);
    const c = v128.load64_zero(cos);
    const s = v128.load64_zero(sin);
    const turned = f32x4.mul(ba, f32x4.mul(v128.shuffle<f32>(s, s, 0, 0, 1, 1), sign));
    v128.store(to, f32x4.add(f32x4.mul(ab, v128.shuffle<f32>(c, c, 0, 0, 1, 1)), turned));
    x += 16;
    to += 16;
    cos += 8;
    sin += 8;
  }
  if (i < pairs) {
    const a = load<f32>(x);
    const b = load<f32>(x, 4);
    const c = load<f32>(cos);
    const s = load<f32>(sin) * direction;
    store<f32>(to, a * c - b * s);
    store<f32>(to, a * s + b * c, 4);
  }
}
