// Panels and the register tile that GEMM and the nearest-code search share: 6 rows x 8 columns, k in between.
// A panel holds 6 rows as [k][6], a B panel 8 columns as [k][8]; what is missing at the edges is zero.
import { madd } from "./simd";

export const MR: i32 = 6;
export const NR: i32 = 8;

/** Packs `rows` x k of A into panels of 6 rows, times `scale`. Strides in bytes. */
export function packA(to: usize, a: usize, rows: i32, k: i32, rowStride: usize, columnStride: usize, scale: f32): void {
  const scales = f32x4.splat(scale);
  for (let i = 0; i < rows; i += MR) {
    const left = rows - i;
    const from = a + <usize>i * rowStride;
    if (left < MR) {
      memory.fill(to, 0, <usize>(k * MR) << 2);
      for (let r = 0; r < left; r++) {
        let read = from + <usize>r * rowStride;
        let write = to + (<usize>r << 2);
        for (let p = 0; p < k; p++) {
          store<f32>(write, load<f32>(read) * scale);
          read += columnStride;
          write += 24;
        }
      }
    } else if (rowStride == 4) {
      let read = from;
      let write = to;
      for (let p = 0; p < k; p++) {
        v128.store(write, f32x4.mul(v128.load(read), scales));
        v128.store64_lane(write, f32x4.mul(v128.load64_zero(read, 16), scales), 0, 16);
        read += columnStride;
        write += 24;
      }
    } else {
      let r0 = from;
      let write = to;
      const r1 = rowStride;
      const r2 = rowStride * 2;
      const r3 = rowStride * 3;
      const r4 = rowStride * 4;
      const r5 = rowStride * 5;
      let p = 0;
      if (columnStride == 4) {
        // Four columns at a time: a 4x4 transposition for rows 0-3, a 2x4 one for rows 4-5.
        for (; p + 4 <= k; p += 4) {
          const x0 = f32x4.mul(v128.load(r0), scales);
          const x1 = f32x4.mul(v128.load(r0 + r1), scales);
          const x2 = f32x4.mul(v128.load(r0 + r2), scales);
          const x3 = f32x4.mul(v128.load(r0 + r3), scales);
          const x4 = f32x4.mul(v128.load(r0 + r4), scales);
          const x5 = f32x4.mul(v128.load(r0 + r5), scales);
          const lo01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
          const hi01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
          const lo23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
          const hi23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
          const lo45 = v128.shuffle<f32>(x4, x5, 0, 4, 1, 5);
          const hi45 = v128.shuffle<f32>(x4, x5, 2, 6, 3, 7);
          v128.store(write, v128.shuffle<f64>(lo01, lo23, 0, 2));
          v128.store64_lane(write, lo45, 0, 16);
          v128.store(write, v128.shuffle<f64>(lo01, lo23, 1, 3), 24);
          v128.store64_lane(write, lo45, 1, 40);
          v128.store(write, v128.shuffle<f64>(hi01, hi23, 0, 2), 48);
          v128.store64_lane(write, hi45, 0, 64);
          v128.store(write, v128.shuffle<f64>(hi01, hi23, 1, 3), 72);
          v128.store64_lane(write, hi45, 1, 88);
          r0 += 16;
          write += 96;
        }
      }
      for (; p < k; p++) {
        store<f32>(write, load<f32>(r0) * scale);
        store<f32>(write, load<f32>(r0 + r1) * scale, 4);
        store<f32>(write, load<f32>(r0 + r2) * scale, 8);
        store<f32>(write, load<f32>(r0 + r3) * scale, 12);
        store<f32>(write, load<f32>(r0 + r4) * scale, 16);
        store<f32>(write, load<f32>(r0 + r5) * scale, 20);
        r0 += columnStride;
        write += 24;
      }
    }
    to += <usize>(k * MR) << 2;
  }
}

/** Packs k x `columns` of B into panels of 8 columns. Strides in bytes. */
export function packB(to: usize, b: usize, k: i32, columns: i32, rowStride: usize, columnStride: usize): void {
  for (let j = 0; j < columns; j += NR) {
    const left = columns - j;
    const from = b + <usize>j * columnStride;
    if (left < NR) {
      memory.fill(to, 0, <usize>(k * NR) << 2);
      for (let c = 0; c < left; c++) {
        let read = from + <usize>c * columnStride;
        let write = to + (<usize>c << 2);
        for (let p = 0; p < k; p++) {
          store<f32>(write, load<f32>(read));
          read += rowStride;
          write += 32;
        }
      }
    } else if (columnStride == 4) {
      let read = from;
      let write = to;
      for (let p = 0; p < k; p++) {
        v128.store(write, v128.load(read));
        v128.store(write, v128.load(read, 16), 16);
        read += rowStride;
        write += 32;
      }
    } else {
      packColumns(to, from, k, rowStride, columnStride);
      packColumns(to + 16, from + 4 * columnStride, k, rowStride, columnStride);
    }
    to += <usize>(k * NR) << 2;
  }
}

/** Four columns of a B panel. */
// @ts-ignore: decorator
@inline function packColumns(to: usize, from: usize, k: i32, rowStride: usize, columnStride: usize): void {
  const c1 = columnStride;
  const c2 = columnStride * 2;
  const c3 = columnStride * 3;
  let p = 0;
  if (rowStride == 4) {
    for (; p + 4 <= k; p += 4) {
      const x0 = v128.load(from);
      const x1 = v128.load(from + c1);
      const x2 = v128.load(from + c2);
      const x3 = v128.load(from + c3);
      const lo01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
      const hi01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
      const lo23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const hi23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f64>(lo01, lo23, 0, 2));
      v128.store(to, v128.shuffle<f64>(lo01, lo23, 1, 3), 32);
      v128.store(to, v128.shuffle<f64>(hi01, hi23, 0, 2), 64);
      v128.store(to, v128.shuffle<f64>(hi01, hi23, 1, 3), 96);
      from += 16;
      to += 128;
    }
  }
  for (; p < k; p++) {
    store<f32>(to, load<f32>(from));
    store<f32>(to, load<f32>(from + c1), 4);
    store<f32>(to, load<f32>(from + c2), 8);
    store<f32>(to, load<f32>(from + c3), 12);
    from += rowStride;
    to += 32;
  }
}

/** C tile [6, 8] (+)= A panel x B panel; `stride` is the tile's row stride in bytes. */
export function tile(a: usize, b: usize, k: i32, c: usize, stride: usize, accumulate: bool): void {
  const w1 = c + stride;
  const w2 = w1 + stride;
  const w3 = w2 + stride;
  const w4 = w3 + stride;
  const w5 = w4 + stride;
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00;
  let c30 = c00, c31 = c00, c40 = c00, c41 = c00, c50 = c00, c51 = c00;
  if (accumulate) {
    c00 = v128.load(c);  c01 = v128.load(c, 16);
    c10 = v128.load(w1); c11 = v128.load(w1, 16);
    c20 = v128.load(w2); c21 = v128.load(w2, 16);
    c30 = v128.load(w3); c31 = v128.load(w3, 16);
    c40 = v128.load(w4); c41 = v128.load(w4, 16);
    c50 = v128.load(w5); c51 = v128.load(w5, 16);
  }
  for (const end = a + (<usize>(k * MR) << 2); a < end; a += 24) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load_splat<f32>(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load_splat<f32>(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load_splat<f32>(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load_splat<f32>(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load_splat<f32>(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load_splat<f32>(a, 20);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    b += 32;
  }
  v128.store(c, c00);  v128.store(c, c01, 16);
  v128.store(w1, c10); v128.store(w1, c11, 16);
  v128.store(w2, c20); v128.store(w2, c21, 16);
  v128.store(w3, c30); v128.store(w3, c31, 16);
  v128.store(w4, c40); v128.store(w4, c41, 16);
  v128.store(w5, c50); v128.store(w5, c51, 16);
}
