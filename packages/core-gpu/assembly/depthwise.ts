import { madd } from "./simd";

/**
 * Output lines `from` <= i < `until`, counted through all images, of a depthwise convolution: out [b, outH, outW, c * q] of
 * x [b, h, w, c] and filter [kh, kw, c, q].
 *
 * Floor: 2 kh kw operations a number of the output; 4 (b h w c + b outH outW c q) bytes moved.
 */
export function depthwiseLines(
  from: i32, until: i32, _scratch: usize, x: usize, filter: usize, out: usize, q: i32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const channels = <usize>(c * q) << 2;
  const tapStep = <usize>(dilationX * c) << 2;
  let to = out + <usize>(from * outW) * channels;
  for (let line = from; line < until; line++) {
    const top = line % outH * strideY - padTop;
    const firstY = min(kh, (max(0, -top) + dilationY - 1) / dilationY);
    const endY = min(kh, (h - top + dilationY - 1) / dilationY);
    for (let column = 0; column < outW; column++) {
      const left = column * strideX - padLeft;
      const firstX = min(kw, (max(0, -left) + dilationX - 1) / dilationX);
      const endX = min(kw, (w - left + dilationX - 1) / dilationX);
      const place = (line / outH * h + top + firstY * dilationY) * w + left + firstX * dilationX;
      const at = x + (<usize>place * <usize>c << 2);
      const taps = filter + <usize>(firstY * kw + firstX) * channels;
      pixel(
        at, taps, to, c, q, endY - firstY, endX - firstX,
        <usize>(dilationY * w * c) << 2, tapStep, <usize>kw * channels, channels,
      );
      to += channels;
    }
  }
}

/** out [c * q] = the sum over ky < rows, kx < columns of x [c] times taps [c, q], each with its steps in bytes. */
function pixel(
  x: usize, taps: usize, out: usize, c: i32, q: i32, rows: i32, columns: i32,
  xRow: usize, xColumn: usize, tapRow: usize, tapColumn: usize,
): void {
  let i = 0;
  if (q == 1) {
    for (; i + 8 <= c; i += 8) {
      let s0 = f32x4.splat(0), s1 = s0;
      for (let ky = 0; ky < rows; ky++) {
        let a = x + <usize>ky * xRow;
        let b = taps + <usize>ky * tapRow;
        for (let kx = 0; kx < columns; kx++) {
          s0 = madd(v128.load(a), v128.load(b), s0);
          s1 = madd(v128.load(a, 16), v128.load(b, 16), s1);
          a += xColumn;
          b += tapColumn;
        }
      }
      v128.store(out, s0);
      v128.store(out, s1, 16);
      x += 32;
      taps += 32;
      out += 32;
    }
  }
  for (; i < c; i++) {
    for (let j = 0; j < q; j++) {
      let sum: f32 = 0;
      for (let ky = 0; ky < rows; ky++) {
        let a = x + <usize>ky * xRow;
        let b = taps + <usize>ky * tapRow;
        for (let kx = 0; kx < columns; kx++) {
          sum += load<f32>(a) * load<f32>(b);
          a += xColumn;
          b += tapColumn;
        }
      }
      store<f32>(out, sum);
      taps += 4;
      out += 4;
    }
    x += 4;
  }
}

/**
 * Lines `from` <= i < `until`, counted through all images, of the gradient towards x: dx [b, h, w, c] of
 * dy [b, outH, outW, c * q] and filter [kh, kw, c, q].
 *
 * Floor: 2 kh kw operations a number of dy; 4 (b h w c + b outH outW c q) bytes moved.
 */
export function depthwiseInputLines(
  from: i32, until: i32, _scratch: usize, filter: usize, dy: usize, dx: usize, q: i32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const channels = <usize>(c * q) << 2;
  const row = <usize>(w * c) << 2;
  for (let line = from; line < until; line++) {
    const to = dx + <usize>line * row;
    memory.fill(to, 0, row);
    for (let ky = 0; ky < kh; ky++) {
      const below = line % h + padTop - ky * dilationY;
      if (below < 0 || below % strideY != 0 || below / strideY >= outH) continue;
      let gradient = dy + <usize>((line / h * outH + below / strideY) * outW) * channels;
      for (let column = 0; column < outW; column++) {
        for (let kx = 0; kx < kw; kx++) {
          const place = column * strideX - padLeft + kx * dilationX;
          if (place < 0 || place >= w) continue;
          tapToInput(to + (<usize>(place * c) << 2), gradient, filter + <usize>(ky * kw + kx) * channels, c, q);
        }
        gradient += channels;
      }
    }
  }
}

/**
 * Parts `from` <= i < `until` of the gradient towards the filter [kh, kw, c, q]: what output lines i * span ... of all
 * images add to it, at parts + i * kh * kw * c * q.
 *
 * Floor: 2 kh kw operations a number of dy; 4 (b h w c + b outH outW c q) bytes moved.
 */
export function depthwiseFilterParts(
  from: i32, until: i32, _scratch: usize, x: usize, dy: usize, parts: usize, q: i32, lines: i32, span: i32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const channels = <usize>(c * q) << 2;
  const size = <usize>(kh * kw) * channels;
  for (let part = from; part < until; part++) {
    const to = parts + <usize>part * size;
    memory.fill(to, 0, size);
    for (let line = part * span; line < min(lines, (part + 1) * span); line++) {
      for (let ky = 0; ky < kh; ky++) {
        const y = line % outH * strideY - padTop + ky * dilationY;
        if (y < 0 || y >= h) continue;
        const seen = x + (<usize>((line / outH * h + y) * w) * <usize>c << 2);
        let gradient = dy + <usize>(line * outW) * channels;
        for (let column = 0; column < outW; column++) {
          for (let kx = 0; kx < kw; kx++) {
            const place = column * strideX - padLeft + kx * dilationX;
            if (place < 0 || place >= w) continue;
            tapToFilter(to + <usize>(ky * kw + kx) * channels, gradient, seen + (<usize>(place * c) << 2), c, q);
          }
          gradient += channels;
        }
      }
    }
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
    v128.store(to, madd(v128.load(a), v128.load(b), v128.load(to)));
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
