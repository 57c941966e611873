import { addTo, copyFloats, fillFloats } from "./simd";

/** Rows `first` ... of im2col: what each output position sees of x [b, h, w, c], as [count, kh * kw * c]. */
export function im2col(
  x: usize, columns: usize, first: i32, count: i32, h: i32, w: i32, c: i32, outH: i32, outW: i32,
  kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
): void {
  let to = columns;
  for (let row = first; row < first + count; row++) {
    const image = x + (<usize>(row / (outH * outW) * h * w * c) << 2);
    const top = row / outW % outH * strideY - padTop;
    const left = row % outW * strideX - padLeft;
    const from = max(0, -left);
    const until = max(from, min(kw, w - left));
    for (let ky = 0; ky < kh; ky++) {
      const y = top + ky;
      if (y < 0 || y >= h || from >= kw) {
        fillFloats(to, 0, kw * c);
      } else {
        fillFloats(to, 0, from * c);
        copyFloats(to + (<usize>(from * c) << 2), image + (<usize>((y * w + left + from) * c) << 2), (until - from) * c);
        fillFloats(to + (<usize>(until * c) << 2), 0, (kw - until) * c);
      }
      to += <usize>(kw * c) << 2;
    }
  }
}

/** Adds such rows back to where they were seen: the adjoint of `im2col`. */
export function col2im(
  x: usize, columns: usize, first: i32, count: i32, h: i32, w: i32, c: i32, outH: i32, outW: i32,
  kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
): void {
  let from = columns;
  for (let row = first; row < first + count; row++) {
    const image = x + (<usize>(row / (outH * outW) * h * w * c) << 2);
    const top = row / outW % outH * strideY - padTop;
    const left = row % outW * strideX - padLeft;
    const start = max(0, -left);
    const until = min(kw, w - left);
    for (let ky = 0; ky < kh; ky++) {
      const y = top + ky;
      if (y >= 0 && y < h && until > start) {
        addTo(image + (<usize>((y * w + left + start) * c) << 2), from + (<usize>(start * c) << 2), (until - start) * c);
      }
      from += <usize>(kw * c) << 2;
    }
  }
}

/**
 * Gradient of a depthwise convolution, towards its input (`toInput`, other = filter [kh, kw, c, q]) or its filter
 * (other = x [b, h, w, c]); dy [b, outH, outW, c * q]. The result must be zero before.
 */
export function depthwiseGradient(
  toInput: bool, other: usize, dy: usize, result: usize, batch: i32, h: i32, w: i32, c: i32, q: i32, outH: i32, outW: i32,
  kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
): void {
  let gradient = dy;
  for (let row = 0; row < batch * outH * outW; row++) {
    const image = row / (outH * outW) * h * w;
    const top = row / outW % outH * strideY - padTop;
    const left = row % outW * strideX - padLeft;
    for (let ky = max(0, -top); ky < min(kh, h - top); ky++) {
      for (let kx = max(0, -left); kx < min(kw, w - left); kx++) {
        const pixel = <usize>((image + (top + ky) * w + left + kx) * c) << 2;
        const tap = <usize>((ky * kw + kx) * c * q) << 2;
        if (toInput) tapToInput(result + pixel, gradient, other + tap, c, q);
        else tapToFilter(result + tap, gradient, other + pixel, c, q);
      }
    }
    gradient += <usize>(c * q) << 2;
  }
}

// @ts-ignore: decorator
@inline function tapToInput(dx: usize, dy: usize, filter: usize, c: i32, q: i32): void {
  if (q == 1) return multiplyAdd(dx, dy, filter, c);
  for (let i = 0; i < c; i++) {
    let sum = load<f32>(dx);
    for (let j = 0; j < q; j++) {
      sum += load<f32>(dy) * load<f32>(filter);
      dy += 4;
      filter += 4;
    }
    store<f32>(dx, sum);
    dx += 4;
  }
}

// @ts-ignore: decorator
@inline function tapToFilter(dFilter: usize, dy: usize, x: usize, c: i32, q: i32): void {
  if (q == 1) return multiplyAdd(dFilter, dy, x, c);
  for (let i = 0; i < c; i++) {
    const value = load<f32>(x);
    for (let j = 0; j < q; j++) {
      store<f32>(dFilter, load<f32>(dFilter) + load<f32>(dy) * value);
      dFilter += 4;
      dy += 4;
    }
    x += 4;
  }
}

// @ts-ignore: decorator
@inline function multiplyAdd(to: usize, a: usize, b: usize, count: i32): void {
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(to, f32x4.add(v128.load(to), f32x4.mul(v128.load(a), v128.load(b))));
    to += 16;
    a += 16;
    b += 16;
  }
  for (; i < count; i++) {
    store<f32>(to, load<f32>(to) + load<f32>(a) * load<f32>(b));
    to += 4;
    a += 4;
    b += 4;
  }
}
