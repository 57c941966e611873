import { gemmRows, gemmScratch, packPanels } from "./gemm";
import { addTo, copyFloats, fillFloats } from "./simd";

/** Positions that are seen at a time: their columns stay in the second-level cache. */
const BLOCK: i32 = 48;

/** Bytes of scratch that `convRows` and `convInputImages` need: what a block of positions sees, and GEMM's. */
export function convScratch(patch: i32, k: i32): usize {
  return (<usize>(BLOCK * patch) << 2) + gemmScratch(k);
}

/**
 * Output positions `from` <= row < `until` of a convolution: out [b, outH, outW, outC] = what each sees of x [b, h, w, c]
 * times the filter, packed in panels, then + bias and activation as in `gemmRows`.
 */
export function convRows(
  from: i32, until: i32, scratch: usize, x: usize, panels: usize, out: usize, outC: i32,
  bias: usize, activation: i32, slope: f32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const patch = kh * kw * c;
  const outRow = <usize>outC << 2;
  const columns = scratch;
  const forGemm = scratch + (<usize>(BLOCK * patch) << 2);
  for (let row = from; row < until; row += BLOCK) {
    const count = min(BLOCK, until - row);
    im2col(x, columns, row, count, h, w, c, outH, outW, kh, kw, strideY, strideX, padTop, padLeft, dilationY, dilationX);
    const to = out + <usize>row * outRow;
    gemmRows(0, count, forGemm, columns, <usize>patch << 2, 4, panels, to, outRow, outC, patch, false, bias, activation, slope);
  }
}

/**
 * The input gradient of images `from` <= i < `until`: dx [b, h, w, c] = output gradients [b, outH, outW, outC] times the
 * filter [outC, patch], packed in panels, added back to where they were seen.
 */
export function convInputImages(
  from: i32, until: i32, scratch: usize, dy: usize, panels: usize, dx: usize, outC: i32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const patch = kh * kw * c;
  const columns = scratch;
  const forGemm = scratch + (<usize>(BLOCK * patch) << 2);
  const positions = outH * outW;
  for (let image = from; image < until; image++) {
    memory.fill(dx + (<usize>image * <usize>(h * w * c) << 2), 0, <usize>(h * w * c) << 2);
    for (let row = image * positions; row < (image + 1) * positions; row += BLOCK) {
      const count = min(BLOCK, (image + 1) * positions - row);
      const gradient = dy + (<usize>row * <usize>outC << 2);
      gemmRows(0, count, forGemm, gradient, <usize>outC << 2, 4, panels, columns, <usize>patch << 2, patch, outC, false, 0, 0, 0);
      col2im(dx, columns, row, count, h, w, c, outH, outW, kh, kw, strideY, strideX, padTop, padLeft, dilationY, dilationX);
    }
  }
}

/** Bytes of scratch that `convFilterParts` needs. */
export function convFilterScratch(patch: i32, outC: i32, block: i32): usize {
  return (<usize>(block * (patch + (outC + 7) / 8 * 8)) << 2) + gemmScratch(block);
}

/**
 * Parts `from` <= i < `until` of the filter gradient [patch, outC]: what positions i * span ... saw, transposed, times
 * their gradients, `block` positions at a time. Part i goes to parts + i * patch * outC.
 */
export function convFilterParts(
  from: i32, until: i32, scratch: usize, x: usize, dy: usize, parts: usize, outC: i32, positions: i32, span: i32, block: i32,
  h: i32, w: i32, c: i32, outH: i32, outW: i32, kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32,
  dilationY: i32, dilationX: i32,
): void {
  const patch = kh * kw * c;
  const outRow = <usize>outC << 2;
  const columns = scratch;
  const panels = columns + (<usize>(block * patch) << 2);
  const forGemm = panels + (<usize>(block * ((outC + 7) / 8 * 8)) << 2);
  for (let part = from; part < until; part++) {
    const to = parts + <usize>part * <usize>patch * outRow;
    const end = min(positions, (part + 1) * span);
    for (let row = part * span; row < end; row += block) {
      const count = min(block, end - row);
      im2col(x, columns, row, count, h, w, c, outH, outW, kh, kw, strideY, strideX, padTop, padLeft, dilationY, dilationX);
      packPanels(0, (outC + 7) / 8, 0, panels, dy + <usize>row * outRow, outRow, 4, count, outC, count);
      gemmRows(0, patch, forGemm, columns, 4, <usize>patch << 2, panels, to, outRow, outC, count, row > part * span, 0, 0, 0);
    }
  }
}

/** sums [n] = the sum of `count` parts [n] that follow one another; elements `from` <= i < `until`. */
export function sumParts(from: i32, until: i32, _scratch: usize, parts: usize, sums: usize, n: i32, count: i32): void {
  const size = <usize>(until - from) << 2;
  const to = sums + (<usize>from << 2);
  memory.copy(to, parts + (<usize>from << 2), size);
  for (let i = 1; i < count; i++) addTo(to, parts + (<usize>i * <usize>n + <usize>from << 2), until - from);
}

/** Rows `first` ... of im2col: what each output position sees of x [b, h, w, c], as [count, kh * kw * c]. */
function im2col(
  x: usize, columns: usize, first: i32, count: i32, h: i32, w: i32, c: i32, outH: i32, outW: i32,
  kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32, dilationY: i32, dilationX: i32,
): void {
  let to = columns;
  const pixel = <usize>c << 2;
  for (let row = first; row < first + count; row++) {
    const image = x + <usize>(row / (outH * outW)) * <usize>(h * w) * pixel;
    const top = row / outW % outH * strideY - padTop;
    const left = row % outW * strideX - padLeft;
    // The taps kx with 0 <= left + kx * dilationX < w.
    const from = min(kw, (max(0, -left) + dilationX - 1) / dilationX);
    const until = max(from, min(kw, (w - left + dilationX - 1) / dilationX));
    for (let ky = 0; ky < kh; ky++) {
      const y = top + ky * dilationY;
      if (y < 0 || y >= h || from >= until) {
        fillFloats(to, 0, kw * c);
      } else {
        const line = image + <usize>(y * w + left + from * dilationX) * pixel;
        fillFloats(to, 0, from * c);
        const seen = to + <usize>from * pixel;
        if (dilationX == 1) copyFloats(seen, line, (until - from) * c);
        else for (let kx = 0; kx < until - from; kx++) copyFloats(seen + <usize>kx * pixel, line + <usize>(kx * dilationX) * pixel, c);
        fillFloats(to + <usize>until * pixel, 0, (kw - until) * c);
      }
      to += <usize>kw * pixel;
    }
  }
}

/** Adds such rows back to where they were seen: the adjoint of `im2col`. */
function col2im(
  x: usize, columns: usize, first: i32, count: i32, h: i32, w: i32, c: i32, outH: i32, outW: i32,
  kh: i32, kw: i32, strideY: i32, strideX: i32, padTop: i32, padLeft: i32, dilationY: i32, dilationX: i32,
): void {
  let from = columns;
  const pixel = <usize>c << 2;
  for (let row = first; row < first + count; row++) {
    const image = x + <usize>(row / (outH * outW)) * <usize>(h * w) * pixel;
    const top = row / outW % outH * strideY - padTop;
    const left = row % outW * strideX - padLeft;
    const start = min(kw, (max(0, -left) + dilationX - 1) / dilationX);
    const until = max(start, min(kw, (w - left + dilationX - 1) / dilationX));
    for (let ky = 0; ky < kh; ky++) {
      const y = top + ky * dilationY;
      if (y >= 0 && y < h && until > start) {
        const line = image + <usize>(y * w + left + start * dilationX) * pixel;
        const seen = from + <usize>start * pixel;
        if (dilationX == 1) addTo(line, seen, (until - start) * c);
        else for (let kx = 0; kx < until - start; kx++) addTo(line + <usize>(kx * dilationX) * pixel, seen + <usize>kx * pixel, c);
      }
      from += <usize>kw * pixel;
    }
  }
}
