import { sumColumns, sumFloats } from "./reductions";
import { fillFloats, madd, sumLanes } from "./simd";

/** x times scale plus offset, as far as they are there. */
// @ts-ignore: decorator
@inline function affine(x: v128, scale: usize, offset: usize): v128 {
  if (scale) x = f32x4.mul(x, v128.load(scale));
  if (offset) x = f32x4.add(x, v128.load(offset));
  return x;
}

// @ts-ignore: decorator
@inline function next(address: usize, bytes: usize): usize {
  return address ? address + bytes : 0;
}

/** Sum of (x - mean)^2. */
function squares(x: usize, mean: f32, count: i32): f32 {
  const means = f32x4.splat(mean);
  let s0 = f32x4.splat(0), s1 = s0;
  let i = 0;
  for (; i + 8 <= count; i += 8) {
    const c0 = f32x4.sub(v128.load(x), means);
    const c1 = f32x4.sub(v128.load(x, 16), means);
    s0 = madd(c0, c0, s0);
    s1 = madd(c1, c1, s1);
    x += 32;
  }
  let sum = sumLanes(f32x4.add(s0, s1));
  for (; i < count; i++) {
    const c = load<f32>(x) - mean;
    sum += c * c;
    x += 4;
  }
  return sum;
}

/**
 * Rows `from` <= i < `until` of y [rows, d] = (x - mean) inverse * scale + offset, with inverse = 1 / sqrt(mean square of
 * x - mean + epsilon). Where it is not `centred`, the mean counts as 0; addresses 0 stand for no scale, no offset.
 *
 * Floor: 6 d operations a row; 8 d bytes moved.
 * Reached by two threads of an EPYC: 73 % of the rate of copying, 83 % without a mean.
 */
export function normRows(
  from: i32, until: i32, _scratch: usize, centred: bool, x: usize, scale: usize, offset: usize, y: usize,
  means: usize, inverses: usize, d: i32, epsilon: f32,
): void {
  for (let i = from; i < until; i++) {
    let read = x + (<usize>i * <usize>d << 2);
    let write = y + (<usize>i * <usize>d << 2);
    const mean: f32 = centred ? sumFloats(read, d) / <f32>d : 0;
    const inverse: f32 = <f32>1 / sqrt<f32>(squares(read, mean, d) / <f32>d + epsilon);
    if (centred) store<f32>(means + (<usize>i << 2), mean);
    store<f32>(inverses + (<usize>i << 2), inverse);
    const meanLanes = f32x4.splat(mean);
    const inverseLanes = f32x4.splat(inverse);
    let s = scale;
    let o = offset;
    let j = 0;
    for (; j + 4 <= d; j += 4) {
      v128.store(write, affine(f32x4.mul(f32x4.sub(v128.load(read), meanLanes), inverseLanes), s, o));
      read += 16;
      write += 16;
      s = next(s, 16);
      o = next(o, 16);
    }
    for (; j < d; j++) {
      let value = (load<f32>(read) - mean) * inverse;
      if (s) value *= load<f32>(s);
      if (o) value += load<f32>(o);
      store<f32>(write, value);
      read += 4;
      write += 4;
      s = next(s, 4);
      o = next(o, 4);
    }
  }
}

/**
 * Parts `from` <= i < `until` of the gradients of `normRows`, each of `span` rows: the rows of dx [rows, d], and what they
 * add to dScale and dOffset [d], at scaleParts + i * d and offsetParts + i * d. Addresses 0 stand for what is not wanted.
 *
 * With h = (x - mean) inverse and g = dy scale: dx = inverse (g - mean of g - h * mean of g h), the first mean only where
 * `centred`; dScale = sum of dy h; dOffset = sum of dy. Floor: 12 d operations a row; 12 d bytes moved.
 * Reached by two threads of an EPYC: 65 % of the rate of copying, with the forward pass.
 */
export function normGradientParts(
  from: i32, until: i32, _scratch: usize, centred: bool, x: usize, dy: usize, scale: usize, means: usize, inverses: usize,
  dx: usize, scaleParts: usize, offsetParts: usize, rows: i32, d: i32, span: i32,
): void {
  const row = <usize>d << 2;
  for (let part = from; part < until; part++) {
    const dScale = next(scaleParts, <usize>part * row);
    const dOffset = next(offsetParts, <usize>part * row);
    if (dScale) memory.fill(dScale, 0, row);
    if (dOffset) memory.fill(dOffset, 0, row);
    const end = min(rows, (part + 1) * span);
    for (let i = part * span; i < end; i++) {
      const mean: f32 = centred ? load<f32>(means + (<usize>i << 2)) : 0;
      const inverse = load<f32>(inverses + (<usize>i << 2));
      const at = <usize>i * row;
      gradientRow(x + at, dy + at, scale, dx + at, dScale, dOffset, mean, inverse, d, centred);
    }
  }
}

function gradientRow(
  x: usize, dy: usize, scale: usize, dx: usize, dScale: usize, dOffset: usize, mean: f32, inverse: f32, d: i32,
  centred: bool,
): void {
  const meanLanes = f32x4.splat(mean);
  const inverseLanes = f32x4.splat(inverse);
  const whole = <usize>(d & ~3) << 2;
  const end = <usize>d << 2;
  let sums = f32x4.splat(0);
  let products = f32x4.splat(0);
  let at: usize = 0;
  for (; at < whole; at += 16) {
    const h = f32x4.mul(f32x4.sub(v128.load(x + at), meanLanes), inverseLanes);
    const gradient = v128.load(dy + at);
    const g = scale ? f32x4.mul(gradient, v128.load(scale + at)) : gradient;
    sums = f32x4.add(sums, g);
    products = madd(g, h, products);
    if (dScale) v128.store(dScale + at, madd(gradient, h, v128.load(dScale + at)));
    if (dOffset) v128.store(dOffset + at, f32x4.add(v128.load(dOffset + at), gradient));
  }
  let sum = sumLanes(sums);
  let product = sumLanes(products);
  for (; at < end; at += 4) {
    const h = (load<f32>(x + at) - mean) * inverse;
    const gradient = load<f32>(dy + at);
    const g = scale ? gradient * load<f32>(scale + at) : gradient;
    sum += g;
    product += g * h;
    if (dScale) store<f32>(dScale + at, load<f32>(dScale + at) + gradient * h);
    if (dOffset) store<f32>(dOffset + at, load<f32>(dOffset + at) + gradient);
  }
  const meanG: f32 = centred ? sum / <f32>d : 0;
  const meanGH = product / <f32>d;
  const meanGLanes = f32x4.splat(meanG);
  const meanGHLanes = f32x4.splat(meanGH);
  for (at = 0; at < whole; at += 16) {
    const h = f32x4.mul(f32x4.sub(v128.load(x + at), meanLanes), inverseLanes);
    const gradient = v128.load(dy + at);
    const g = scale ? f32x4.mul(gradient, v128.load(scale + at)) : gradient;
    const rest = f32x4.sub(f32x4.sub(g, meanGLanes), f32x4.mul(h, meanGHLanes));
    v128.store(dx + at, f32x4.mul(rest, inverseLanes));
  }
  for (; at < end; at += 4) {
    const h = (load<f32>(x + at) - mean) * inverse;
    const g = scale ? load<f32>(dy + at) * load<f32>(scale + at) : load<f32>(dy + at);
    store<f32>(dx + at, (g - meanG - h * meanGH) * inverse);
  }
}

/**
 * Groups `from` <= i < `until`, counted through all samples, of y [b, positions, c] = (x - mean) inverse * scale + offset,
 * each group's mean and inverse over its c / groups channels and all positions. Scratch: 2 c numbers.
 *
 * Floor: 6 operations a number; 8 bytes moved, and x read twice more from the cache.
 * Reached by two threads of an EPYC: 48 % of the rate of copying, with the gradients.
 */
export function groupNormSets(
  from: i32, until: i32, scratch: usize, x: usize, scale: usize, offset: usize, y: usize, means: usize, inverses: usize,
  positions: i32, c: i32, groups: i32, epsilon: f32,
): void {
  const size = c / groups;
  const stride = <usize>c << 2;
  const count = <f32>(positions * size);
  for (let set = from; set < until; ) {
    // The groups of one sample that lie side by side are done together.
    const first = set % groups;
    const some = min(until - set, groups - first);
    const columns = some * size;
    const at = <usize>(set / groups) * <usize>positions * stride + (<usize>(first * size) << 2);
    sumColumns(x + at, stride, positions, columns, scratch, 1);
    for (let g = 0; g < some; g++) {
      const mean = sumFloats(scratch + (<usize>(g * size) << 2), size) / count;
      store<f32>(means + (<usize>(set + g) << 2), mean);
      fillFloats(scratch + (<usize>(g * size) << 2), mean, size);
    }
    const squaresAt = scratch + stride;
    sumSquares(x + at, stride, positions, columns, scratch, squaresAt);
    for (let g = 0; g < some; g++) {
      const variance = sumFloats(squaresAt + (<usize>(g * size) << 2), size) / count;
      const inverse: f32 = <f32>1 / sqrt<f32>(variance + epsilon);
      store<f32>(inverses + (<usize>(set + g) << 2), inverse);
      for (let j = g * size; j < (g + 1) * size; j++) {
        const factor: f32 = scale ? inverse * load<f32>(scale + (<usize>(first * size + j) << 2)) : inverse;
        store<f32>(squaresAt + (<usize>j << 2), factor);
      }
    }
    scaleColumns(x + at, y + at, stride, positions, columns, scratch, squaresAt, next(offset, <usize>(first * size) << 2));
    set += some;
  }
}

/** to [n] = sums of (x - mean [n])^2 over rows. */
function sumSquares(x: usize, stride: usize, rows: i32, n: i32, mean: usize, to: usize): void {
  let j = 0;
  for (; j + 8 <= n; j += 8) {
    const m0 = v128.load(mean);
    const m1 = v128.load(mean, 16);
    let s0 = f32x4.splat(0), s1 = s0;
    let at = x;
    for (let row = 0; row < rows; row++) {
      const c0 = f32x4.sub(v128.load(at), m0);
      const c1 = f32x4.sub(v128.load(at, 16), m1);
      s0 = madd(c0, c0, s0);
      s1 = madd(c1, c1, s1);
      at += stride;
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    x += 32;
    mean += 32;
    to += 32;
  }
  for (; j < n; j++) {
    const m = load<f32>(mean);
    let sum: f32 = 0;
    let at = x;
    for (let row = 0; row < rows; row++) {
      const c = load<f32>(at) - m;
      sum += c * c;
      at += stride;
    }
    store<f32>(to, sum);
    x += 4;
    mean += 4;
    to += 4;
  }
}

/** Rows of y = (x - mean [n]) factor [n] + offset [n]. */
function scaleColumns(
  x: usize, y: usize, stride: usize, rows: i32, n: i32, mean: usize, factor: usize, offset: usize,
): void {
  const whole = <usize>(n & ~3) << 2;
  const end = <usize>n << 2;
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    for (; at < whole; at += 16) {
      let value = f32x4.mul(f32x4.sub(v128.load(x + at), v128.load(mean + at)), v128.load(factor + at));
      if (offset) value = f32x4.add(value, v128.load(offset + at));
      v128.store(y + at, value);
    }
    for (; at < end; at += 4) {
      let value = (load<f32>(x + at) - load<f32>(mean + at)) * load<f32>(factor + at);
      if (offset) value += load<f32>(offset + at);
      store<f32>(y + at, value);
    }
    x += stride;
    y += stride;
  }
}

/**
 * Groups `from` <= i < `until` of the gradients of `groupNormSets`: dx, and each sample's dScale and dOffset, [b, c], which
 * are wanted in any case. Scratch: 4 c numbers.
 *
 * The formulas of `normGradientParts`, with the means over a group. Floor: 12 operations a number; 12 bytes moved.
 */
export function groupNormGradientSets(
  from: i32, until: i32, scratch: usize, x: usize, dy: usize, scale: usize, means: usize, inverses: usize, dx: usize,
  dScales: usize, dOffsets: usize, positions: i32, c: i32, groups: i32,
): void {
  const size = c / groups;
  const stride = <usize>c << 2;
  const count = <f32>(positions * size);
  const meanAt = scratch;
  const shareAt = meanAt + stride; // dx = dy * factor - (x - mean) * share - constant
  const constantAt = shareAt + stride;
  const factorAt = constantAt + stride;
  for (let set = from; set < until; ) {
    const first = set % groups;
    const some = min(until - set, groups - first);
    const columns = some * size;
    const channel = <usize>(first * size) << 2;
    const sample = <usize>(set / groups);
    const at = sample * <usize>positions * stride + channel;
    const dScale = dScales + sample * stride + channel;
    const dOffset = dOffsets + sample * stride + channel;
    for (let g = 0; g < some; g++) fillFloats(meanAt + (<usize>(g * size) << 2), load<f32>(means + (<usize>(set + g) << 2)), size);
    sumColumns(dy + at, stride, positions, columns, dOffset, 1);
    sumProducts(x + at, dy + at, stride, positions, columns, meanAt, dScale);
    for (let g = 0; g < some; g++) {
      const inverse = load<f32>(inverses + (<usize>(set + g) << 2));
      let sum: f32 = 0;
      let product: f32 = 0;
      for (let j = g * size; j < (g + 1) * size; j++) {
        const each = <usize>j << 2;
        const weight: f32 = scale ? load<f32>(scale + channel + each) : 1;
        const h = load<f32>(dScale + each) * inverse;
        store<f32>(dScale + each, h);
        sum += weight * load<f32>(dOffset + each);
        product += weight * h;
        store<f32>(factorAt + each, weight * inverse);
      }
      fillFloats(constantAt + (<usize>(g * size) << 2), inverse * sum / count, size);
      fillFloats(shareAt + (<usize>(g * size) << 2), inverse * inverse * product / count, size);
    }
    combineColumns(x + at, dy + at, dx + at, stride, positions, columns, meanAt, shareAt, constantAt, factorAt);
    set += some;
  }
}

/** to [n] = sums of dy (x - mean [n]) over rows. */
function sumProducts(x: usize, dy: usize, stride: usize, rows: i32, n: i32, mean: usize, to: usize): void {
  let j = 0;
  for (; j + 8 <= n; j += 8) {
    const m0 = v128.load(mean);
    const m1 = v128.load(mean, 16);
    let s0 = f32x4.splat(0), s1 = s0;
    let at: usize = 0;
    for (let row = 0; row < rows; row++) {
      s0 = madd(f32x4.sub(v128.load(x + at), m0), v128.load(dy + at), s0);
      s1 = madd(f32x4.sub(v128.load(x + at, 16), m1), v128.load(dy + at, 16), s1);
      at += stride;
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    x += 32;
    dy += 32;
    mean += 32;
    to += 32;
  }
  for (; j < n; j++) {
    const m = load<f32>(mean);
    let sum: f32 = 0;
    let at: usize = 0;
    for (let row = 0; row < rows; row++) {
      sum += (load<f32>(x + at) - m) * load<f32>(dy + at);
      at += stride;
    }
    store<f32>(to, sum);
    x += 4;
    dy += 4;
    mean += 4;
    to += 4;
  }
}

/** Rows of dx = dy factor - (x - mean) share - constant, all [n] but x and dy. */
function combineColumns(
  x: usize, dy: usize, dx: usize, stride: usize, rows: i32, n: i32, mean: usize, share: usize, constant: usize, factor: usize,
): void {
  const whole = <usize>(n & ~3) << 2;
  const end = <usize>n << 2;
  for (let row = 0; row < rows; row++) {
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const centred = f32x4.mul(f32x4.sub(v128.load(x + at), v128.load(mean + at)), v128.load(share + at));
      const own = f32x4.mul(v128.load(dy + at), v128.load(factor + at));
      v128.store(dx + at, f32x4.sub(f32x4.sub(own, v128.load(constant + at)), centred));
    }
    for (; at < end; at += 4) {
      const centred = (load<f32>(x + at) - load<f32>(mean + at)) * load<f32>(share + at);
      store<f32>(dx + at, load<f32>(dy + at) * load<f32>(factor + at) - load<f32>(constant + at) - centred);
    }
    x += stride;
    dy += stride;
    dx += stride;
  }
}
