import { madd, sumLanes } from "./simd";
import { MR, NR, packA, packB, tile } from "./tile";

const KC: i32 = 512;
const MC: i32 = 48;
const NC: i32 = 1024;
const TILE_BYTES: usize = 192;

/** Bytes of scratch that `gemm` needs. */
export function gemmScratch(n: i32, k: i32): usize {
  const depth = min(k, KC);
  const columns = (min(n, NC) + NR - 1) / NR * NR;
  return TILE_BYTES + (<usize>(depth * (MC + columns)) << 2);
}

/**
 * C [m, n] (+)= A [m, k] x B [k, n], then + bias and activation. Strides in bytes, so a transpose is a swap of strides,
 * and a range of rows is a matter of where `a` and `c` point. C is dense.
 * activation: 0 none, 1 relu, 2 relu6, 3 leaky relu with `slope`. bias: 0 for none.
 */
export function gemm(
  a: usize, aRow: usize, aColumn: usize, b: usize, bRow: usize, bColumn: usize,
  c: usize, m: i32, n: i32, k: i32, accumulate: bool,
  bias: usize, activation: i32, slope: f32, scratch: usize,
): void {
  const cRow = <usize>n << 2;
  if (m <= 4 && !accumulate && k > 0 && (bColumn == 4 || (bRow == 4 && aColumn == 4))) {
    if (bColumn == 4) fewRowsTimesMatrix(a, aRow, aColumn, b, bRow, c, m, n, k);
    else for (let i = 0; i < m; i++) rowTimesTransposed(a + <usize>i * aRow, b, bColumn, c + <usize>i * cRow, n, k);
    finish(c, m, n, cRow, bias, activation, slope);
    return;
  }
  if (k == 0 && !accumulate) memory.fill(c, 0, <usize>m * cRow);
  if (k == 0) finish(c, m, n, cRow, bias, activation, slope);
  const edge = scratch;
  const panelsA = edge + TILE_BYTES;
  const panelsB = panelsA + (<usize>(min(k, KC) * MC) << 2);
  for (let jc = 0; jc < n; jc += NC) {
    const columns = min(NC, n - jc);
    for (let pc = 0; pc < k; pc += KC) {
      const depth = min(KC, k - pc);
      packB(panelsB, b + <usize>pc * bRow + <usize>jc * bColumn, depth, columns, bRow, bColumn);
      for (let ic = 0; ic < m; ic += MC) {
        const rows = min(MC, m - ic);
        packA(panelsA, a + <usize>ic * aRow + <usize>pc * aColumn, rows, depth, aRow, aColumn, 1);
        const block = c + <usize>ic * cRow + (<usize>jc << 2);
        multiplyPanels(panelsA, panelsB, rows, columns, depth, block, cRow, accumulate || pc > 0, edge);
        if (pc + depth == k) finish(block, rows, columns, cRow, bias == 0 ? 0 : bias + (<usize>jc << 2), activation, slope);
      }
    }
  }
}

function multiplyPanels(
  panelsA: usize, panelsB: usize, rows: i32, columns: i32, depth: i32,
  c: usize, cRow: usize, accumulate: bool, edge: usize,
): void {
  for (let j = 0; j < columns; j += NR) {
    const panelB = panelsB + (<usize>(j * depth) << 2);
    const width = columns - j;
    for (let i = 0; i < rows; i += MR) {
      const panelA = panelsA + (<usize>(i * depth) << 2);
      const height = rows - i;
      const to = c + <usize>i * cRow + (<usize>j << 2);
      if (width >= NR && height >= MR) {
        tile(panelA, panelB, depth, to, cRow, accumulate);
      } else {
        tile(panelA, panelB, depth, edge, 32, false);
        writeEdge(edge, to, cRow, min(height, MR), min(width, NR), accumulate);
      }
    }
  }
}

function writeEdge(edge: usize, to: usize, cRow: usize, height: i32, width: i32, accumulate: bool): void {
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const at = to + <usize>i * cRow + (<usize>j << 2);
      const sum = load<f32>(edge + (<usize>(i * NR + j) << 2));
      store<f32>(at, accumulate ? load<f32>(at) + sum : sum);
    }
  }
}

/** Few rows of A times B as it lies, four of B's rows at a time: packing would cost as much as the product. */
function fewRowsTimesMatrix(
  a: usize, aRow: usize, aColumn: usize, b: usize, bRow: usize, c: usize, m: i32, n: i32, k: i32,
): void {
  memory.fill(c, 0, <usize>(m * n) << 2);
  for (let jc = 0; jc < n; jc += NC) {
    const columns = min(NC, n - jc);
    for (let p = 0; p < k; p += 4) {
      const left = k - p;
      const b0 = b + <usize>p * bRow + (<usize>jc << 2);
      for (let i = 0; i < m; i++) {
        const x = a + <usize>i * aRow + <usize>p * aColumn;
        const to = c + (<usize>(i * n + jc) << 2);
        if (left >= 4) addFourRows(to, x, aColumn, b0, bRow, columns);
        else for (let r = 0; r < left; r++) addRow(to, load<f32>(x + <usize>r * aColumn), b0 + <usize>r * bRow, columns);
      }
    }
  }
}

function addFourRows(c: usize, a: usize, aColumn: usize, b0: usize, bRow: usize, columns: i32): void {
  const x0 = load<f32>(a), x1 = load<f32>(a + aColumn), x2 = load<f32>(a + 2 * aColumn), x3 = load<f32>(a + 3 * aColumn);
  const v0 = f32x4.splat(x0), v1 = f32x4.splat(x1), v2 = f32x4.splat(x2), v3 = f32x4.splat(x3);
  const end = c + (<usize>columns << 2);
  const r1 = bRow, r2 = 2 * bRow, r3 = 3 * bRow;
  for (; c + 16 <= end; c += 16) {
    let sum = madd(v0, v128.load(b0), v128.load(c));
    sum = madd(v1, v128.load(b0 + r1), sum);
    sum = madd(v2, v128.load(b0 + r2), sum);
    v128.store(c, madd(v3, v128.load(b0 + r3), sum));
    b0 += 16;
  }
  for (; c < end; c += 4) {
    const sum = load<f32>(c) + x0 * load<f32>(b0) + x1 * load<f32>(b0 + r1);
    store<f32>(c, sum + x2 * load<f32>(b0 + r2) + x3 * load<f32>(b0 + r3));
    b0 += 4;
  }
}

function addRow(c: usize, x: f32, b: usize, columns: i32): void {
  const v = f32x4.splat(x);
  const end = c + (<usize>columns << 2);
  for (; c + 16 <= end; c += 16) {
    v128.store(c, madd(v, v128.load(b), v128.load(c)));
    b += 16;
  }
  for (; c < end; c += 4) {
    store<f32>(c, load<f32>(c) + x * load<f32>(b));
    b += 4;
  }
}

/** One row of A against columns of B that lie dense in memory. */
function rowTimesTransposed(a: usize, b: usize, bColumn: usize, c: usize, n: i32, k: i32): void {
  for (let j = 0; j < n; j += 4) {
    // Near the end the last column is simply computed more than once.
    const y0 = b + <usize>j * bColumn;
    const y1 = b + <usize>min(j + 1, n - 1) * bColumn;
    const y2 = b + <usize>min(j + 2, n - 1) * bColumn;
    const y3 = b + <usize>min(j + 3, n - 1) * bColumn;
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let at: usize = 0;
    const whole = <usize>(k & ~3) << 2;
    for (; at < whole; at += 16) {
      const x = v128.load(a + at);
      s0 = madd(x, v128.load(y0 + at), s0);
      s1 = madd(x, v128.load(y1 + at), s1);
      s2 = madd(x, v128.load(y2 + at), s2);
      s3 = madd(x, v128.load(y3 + at), s3);
    }
    let t0 = sumLanes(s0), t1 = sumLanes(s1), t2 = sumLanes(s2), t3 = sumLanes(s3);
    for (const end = <usize>k << 2; at < end; at += 4) {
      const x = load<f32>(a + at);
      t0 += x * load<f32>(y0 + at);
      t1 += x * load<f32>(y1 + at);
      t2 += x * load<f32>(y2 + at);
      t3 += x * load<f32>(y3 + at);
    }
    const to = c + (<usize>j << 2);
    store<f32>(to, t0);
    if (j + 1 < n) store<f32>(to, t1, 4);
    if (j + 2 < n) store<f32>(to, t2, 8);
    if (j + 3 < n) store<f32>(to, t3, 12);
  }
}

function finish(c: usize, rows: i32, columns: i32, cRow: usize, bias: usize, activation: i32, slope: f32): void {
  if (bias == 0 && activation == 0) return;
  const zero = f32x4.splat(0);
  for (let i = 0; i < rows; i++) {
    let at = c + <usize>i * cRow;
    let from = bias;
    let j = 0;
    for (; j + 4 <= columns; j += 4) {
      let x = v128.load(at);
      if (bias != 0) x = f32x4.add(x, v128.load(from));
      if (activation == 1) x = f32x4.max(x, zero);
      else if (activation == 2) x = f32x4.min(f32x4.max(x, zero), f32x4.splat(6));
      else if (activation == 3) x = v128.bitselect(f32x4.mul(x, f32x4.splat(slope)), x, f32x4.lt(x, zero));
      v128.store(at, x);
      at += 16;
      from += 16;
    }
    for (; j < columns; j++) {
      let x = load<f32>(at);
      if (bias != 0) x += load<f32>(from);
      if (activation == 1) x = max<f32>(x, 0);
      else if (activation == 2) x = min<f32>(max<f32>(x, 0), 6);
      else if (activation == 3 && x < 0) x *= slope;
      store<f32>(at, x);
      at += 4;
      from += 4;
    }
  }
}
