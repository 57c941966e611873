// The plain SIMD build has this one line replaced (scripts/assemble.mjs).
// @ts-ignore: decorator
@inline export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.relaxed_madd(a, b, c);
}

// @ts-ignore: decorator
@inline export function sumLanes(x: v128): f32 {
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1)) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3));
}

/** y[i] += x[i] */
// @ts-ignore: decorator
@inline export function addTo(y: usize, x: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(y, f32x4.add(v128.load(y), v128.load(x)));
    y += 16;
    x += 16;
  }
  for (; i < count; i++) {
    store<f32>(y, load<f32>(y) + load<f32>(x));
    y += 4;
    x += 4;
  }
}

// @ts-ignore: decorator
@inline export function copyFloats(to: usize, from: usize, count: i32): void {
  if (count > 64) {
    memory.copy(to, from, <usize>count << 2);
    return;
  }
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, v128.load(from));
    to += 16;
    from += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, load<f32>(from));
    to += 4;
    from += 4;
  }
}

// @ts-ignore: decorator
@inline export function fillFloats(to: usize, value: f32, count: i32): void {
  for (let i = 0; i < count; i++) {
    store<f32>(to, value);
    to += 4;
  }
}
