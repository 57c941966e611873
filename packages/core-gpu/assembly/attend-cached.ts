// Attention of few queries over many keys: bound by reading K and V, which are therefore read once, as they lie, for all
// query heads of a group. The keys are split into spans, whose results are merged by log-sum-exp.
import { LEAST, Problem, biasOf, bytesAt, floatsAt, lengthOf, maskOf } from "./attend";
import { expLanes, logLanes, tanhLanes } from "./exp";
import { madd, sumLanes } from "./simd";

/** Keys of a span. */
const SPAN: i32 = 256;

/** Spans of a number of keys. */
export function attendSpans(keys: i32): i32 {
  return (keys + SPAN - 1) / SPAN;
}

/** Bytes of scratch that `attendSpan` needs: scores of a group's queries. */
export function attendSpanScratch(rows: i32): usize {
  return <usize>(rows * SPAN) << 2;
}

/** Bytes that `attendSpan` writes for each span: m, l and sums of exp(s - m) v for each of the group's queries. */
export function attendSpanBytes(rows: i32, valueWidth: i32): usize {
  return <usize>rows * <usize>(valueWidth + 2) << 2;
}

/** Spans `from` <= i < `until`: all `spans` of the first group, then of the next. Results go to p.packed. */
export function attendSpan(from: i32, until: i32, scratch: usize, at: usize, spans: i32): void {
  const p = changetype<Problem>(at);
  const rows = p.heads / p.groups * p.queries;
  const bytes = attendSpanBytes(rows, p.valueWidth);
  for (let i = from; i < until; i++) {
    const group = i / spans;
    const length = lengthOf(p, group / p.groups);
    const first = length - p.queries;
    const start = max(i % spans * SPAN, max(0, first - p.left));
    const end = min(min(i % spans * SPAN + SPAN, length), length + p.right);
    span(p, group, rows, start, end - start, first, p.packed + <usize>i * bytes, scratch);
  }
}

/** Keys `start` ... start + count of a group; its first query stands at `position`. */
function span(p: Problem, group: i32, rows: i32, start: i32, count: i32, position: i32, to: usize, scratch: usize): void {
  const sums = to + (<usize>rows << 3);
  memory.fill(sums, 0, <usize>(rows * p.valueWidth) << 2);
  if (count <= 0) {
    for (let r = 0; r < rows; r++) {
      store<f32>(to + (<usize>r << 3), LEAST);
      store<f32>(to + (<usize>r << 3), 0, 4);
    }
    return;
  }
  const first = <usize>group * <usize>p.keys + <usize>start << 2;
  const q = p.q + (<usize>(group * rows) * <usize>p.width << 2);
  for (let r = 0; r < rows; r += 2) {
    const next = min(r + 1, rows - 1);
    dots(
      q, <usize>r, <usize>next, p.k + first * <usize>p.width, count, p.width,
      scratch + (<usize>(r * SPAN) << 2), scratch + (<usize>(next * SPAN) << 2),
    );
  }
  const batch = group / p.groups;
  const head = group % p.groups * (p.heads / p.groups);
  for (let r = 0; r < rows; r++) {
    const i = r % p.queries;
    weigh(
      p, scratch + (<usize>(r * SPAN) << 2), start, count, position + i,
      biasOf(p, batch, head + r / p.queries) + <usize>i * p.biasQuery,
      maskOf(p, batch, head + r / p.queries) + <usize>i * p.maskQuery, to + (<usize>r << 3),
    );
  }
  const v = p.v + first * <usize>p.valueWidth;
  for (let r = 0; r < rows; r += 2) {
    const pair = r + 1 < rows;
    addValues(sums, <usize>r, <usize>(pair ? r + 1 : r), v, count, p.valueWidth, scratch);
  }
}

/** Scores of two queries and all keys. */
function dots(q: usize, r0: usize, r1: usize, k: usize, count: i32, width: i32, to0: usize, to1: usize): void {
  const row = <usize>width << 2;
  const whole = <usize>(width & ~3) << 2;
  const q0 = q + r0 * row;
  const q1 = q + r1 * row;
  for (let j = 0; j < count; j += 4) {
    // Near the end the last key is taken more than once, and hidden later.
    const k0 = k + <usize>j * row;
    const k1 = k + <usize>min(j + 1, count - 1) * row;
    const k2 = k + <usize>min(j + 2, count - 1) * row;
    const k3 = k + <usize>min(j + 3, count - 1) * row;
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const x = v128.load(q0 + at);
      const y = v128.load(q1 + at);
      let key = v128.load(k0 + at);
      a0 = madd(x, key, a0);
      b0 = madd(y, key, b0);
      key = v128.load(k1 + at);
      a1 = madd(x, key, a1);
      b1 = madd(y, key, b1);
      key = v128.load(k2 + at);
      a2 = madd(x, key, a2);
      b2 = madd(y, key, b2);
      key = v128.load(k3 + at);
      a3 = madd(x, key, a3);
      b3 = madd(y, key, b3);
    }
    let sum0 = sumsOfLanes(a0, a1, a2, a3);
    let sum1 = sumsOfLanes(b0, b1, b2, b3);
    for (; at < row; at += 4) {
      const keys = f32x4(load<f32>(k0 + at), load<f32>(k1 + at), load<f32>(k2 + at), load<f32>(k3 + at));
      sum0 = madd(v128.load_splat<f32>(q0 + at), keys, sum0);
      sum1 = madd(v128.load_splat<f32>(q1 + at), keys, sum1);
    }
    v128.store(to0 + (<usize>j << 2), sum0);
    v128.store(to1 + (<usize>j << 2), sum1);
  }
}

// @ts-ignore: decorator
@inline function sumsOfLanes(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f64>(ab, cd, 0, 2), v128.shuffle<f64>(ab, cd, 1, 3));
}

/** Scales, caps, biases and hides a query's scores, and turns them into exp(s - m); m and l go to `statistics`. */
function weigh(
  p: Problem, scores: usize, start: i32, count: i32, position: i32, bias: usize, mask: usize, statistics: usize,
): void {
  const scale = f32x4.splat(p.scale);
  const cap = f32x4.splat(p.softcap);
  const hidden = f32x4.splat(-f32.POSITIVE_INFINITY);
  const least = i32x4.splat(position - p.left);
  const most = i32x4.splat(min(position + p.right, start + count - 1));
  const end = scores + (<usize>((count + 3) & ~3) << 2);
  let greatest = f32x4.splat(LEAST);
  let keys = i32x4.add(i32x4.splat(start), i32x4(0, 1, 2, 3));
  let j = start;
  for (let at = scores; at < end; at += 16) {
    let x = f32x4.mul(v128.load(at), scale);
    if (p.softcap > 0) x = f32x4.mul(tanhLanes(f32x4.div(x, cap)), cap);
    const left = start + count - j;
    if (p.bias != 0) x = f32x4.add(x, floatsAt(bias + <usize>j * p.biasKey, p.biasKey, 0, left));
    let outside = v128.or(i32x4.lt_s(keys, least), i32x4.gt_s(keys, most));
    if (p.mask != 0) {
      const shown = bytesAt(mask + <usize>j * p.maskKey, p.maskKey, 0, left);
      outside = v128.or(outside, i32x4.eq(shown, i32x4.splat(0)));
    }
    x = v128.bitselect(hidden, x, outside);
    v128.store(at, x);
    greatest = f32x4.pmax(greatest, x);
    keys = i32x4.add(keys, i32x4.splat(4));
    j += 4;
  }
  const m = f32x4.splat(greatestLane(greatest));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const x = expLanes(f32x4.sub(v128.load(at), m));
    v128.store(at, x);
    sum = f32x4.add(sum, x);
  }
  store<f32>(statistics, f32x4.extract_lane(m, 0));
  store<f32>(statistics, sumLanes(sum), 4);
}

// @ts-ignore: decorator
@inline function greatestLane(x: v128): f32 {
  const pairs = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

/** Adds the weighed values to the sums of one query or, where r0 < r1, two. */
function addValues(sums: usize, r0: usize, r1: usize, v: usize, count: i32, width: i32, weights: usize): void {
  const row = <usize>width << 2;
  const to0 = sums + r0 * row;
  const to1 = sums + r1 * row;
  let w0 = weights + r0 * (SPAN << 2);
  let w1 = weights + r1 * (SPAN << 2);
  const whole = <usize>(width & ~3) << 2;
  for (let j = 0; j < count; j += 4) {
    const last = count - 1 - j;
    // Weights beyond the last key are 0, and its value stands in for those that are not there.
    const v1 = v + <usize>min(1, last) * row;
    const v2 = v + <usize>min(2, last) * row;
    const v3 = v + <usize>min(3, last) * row;
    const x0 = v128.load_splat<f32>(w0), x1 = v128.load_splat<f32>(w0, 4);
    const x2 = v128.load_splat<f32>(w0, 8), x3 = v128.load_splat<f32>(w0, 12);
    const y0 = v128.load_splat<f32>(w1), y1 = v128.load_splat<f32>(w1, 4);
    const y2 = v128.load_splat<f32>(w1, 8), y3 = v128.load_splat<f32>(w1, 12);
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const a = v128.load(v + at), b = v128.load(v1 + at), c = v128.load(v2 + at), d = v128.load(v3 + at);
      v128.store(to0 + at, madd(x3, d, madd(x2, c, madd(x1, b, madd(x0, a, v128.load(to0 + at))))));
      if (r1 > r0) v128.store(to1 + at, madd(y3, d, madd(y2, c, madd(y1, b, madd(y0, a, v128.load(to1 + at))))));
    }
    for (; at < row; at += 4) {
      const values = f32x4(load<f32>(v + at), load<f32>(v1 + at), load<f32>(v2 + at), load<f32>(v3 + at));
      store<f32>(to0 + at, load<f32>(to0 + at) + sumLanes(f32x4.mul(v128.load(w0), values)));
      if (r1 > r0) store<f32>(to1 + at, load<f32>(to1 + at) + sumLanes(f32x4.mul(v128.load(w1), values)));
    }
    v += 4 * row;
    w0 += 16;
    w1 += 16;
  }
}

/** Merges the spans of rows `from` <= i < `until` of [B, h, L], and each head's sink: output and log-sum-exp. */
export function attendMerge(from: i32, until: i32, _scratch: usize, at: usize, spans: i32): void {
  const p = changetype<Problem>(at);
  const rows = p.heads / p.groups * p.queries;
  const bytes = attendSpanBytes(rows, p.valueWidth);
  for (let i = from; i < until; i++) {
    const parts = p.packed + <usize>(i / rows * spans) * bytes;
    const r = <usize>(i % rows);
    const sink: f32 = p.sinks == 0 ? LEAST : max<f32>(LEAST, load<f32>(p.sinks + (<usize>(i / p.queries % p.heads) << 2)));
    let m = sink;
    for (let part = 0; part < spans; part++) m = max<f32>(m, load<f32>(parts + <usize>part * bytes + (r << 3)));
    let l: f32 = sink > LEAST ? power(sink - m) : 0;
    const to = p.output + (<usize>i * <usize>p.valueWidth << 2);
    memory.fill(to, 0, <usize>p.valueWidth << 2);
    for (let part = 0; part < spans; part++) {
      const own = parts + <usize>part * bytes;
      const weight = power(load<f32>(own + (r << 3)) - m);
      const sum = load<f32>(own + (r << 3), 4);
      l += sum * weight;
      if (sum != 0) addScaled(to, own + (<usize>rows << 3) + (r * <usize>p.valueWidth << 2), weight, p.valueWidth);
    }
    if (l != 0) scaleTo(to, 1 / l, p.valueWidth);
    const lse = l == l ? m + f32x4.extract_lane(logLanes(f32x4.splat(l)), 0) : l;
    store<f32>(p.logSumExp + (<usize>i << 2), l == 0 ? -f32.POSITIVE_INFINITY : lse);
  }
}

// @ts-ignore: decorator
@inline function power(x: f32): f32 {
  return f32x4.extract_lane(expLanes(f32x4.splat(x)), 0);
}

function addScaled(to: usize, x: usize, factor: f32, n: i32): void {
  const factors = f32x4.splat(factor);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    v128.store(to, madd(v128.load(x), factors, v128.load(to)));
    to += 16;
    x += 16;
  }
  for (; i < n; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(x) * factor);
    to += 4;
    x += 4;
  }
}

function scaleTo(to: usize, factor: f32, n: i32): void {
  for (let i = 0; i < n; i++) {
    store<f32>(to, load<f32>(to) * factor);
    to += 4;
  }
}
