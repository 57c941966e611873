import { madd, sumLanes } from "./simd";
import { MR, NR, packA, packB, tile } from "./tile";

const KC: i32 = 512;
const MC: i32 = 48;
const STRIP: i32 = 1024;
const TILE_BYTES: usize = 192;

/** Bytes of scratch that `gemmRows` needs. */
export function gemmScratch(k: i32): usize {
  return TILE_BYTES + (<usize>(min(k, KC) * MC) << 2);
}

/**
 * Packs panels of 8 columns of B [k, n], `from` <= panel < `until`, each as [depth][8], of which k are written.
 * Strides in bytes, so a transpose is a swap of strides.
 */
export function packPanels(
  from: i32, until: i32, _scratch: usize, panels: usize, b: usize, bRow: usize, bColumn: usize, k: i32, n: i32, depth: i32,
): void {
  for (let panel = from; panel < until; panel++) {
    const j = panel * NR;
    packB(panels + (<usize>(j * depth) << 2), b + <usize>j * bColumn, k, min(NR, n - j), bRow, bColumn);
  }
}

/**
 * Rows `from` <= i < `until` of C [m, n] (+)= A [m, k] x B, packed by `packPanels` with depth k, then + bias and
 * activation. Strides in bytes. activation: 0 none, 1 relu, 2 relu6, 3 leaky relu with `slope`. bias: 0 for none.
 */
export function gemmRows(
  from: i32, until: i32, scratch: usize, a: usize, aRow: usize, aColumn: usize, panels: usize,
  c: usize, cRow: usize, n: i32, k: i32, accumulate: bool, bias: usize, activation: i32, slope: f32,
): void {
  const edge = scratch;
  const panelsA = edge + TILE_BYTES;
  for (let i = from; i < until; i += MC) {
    const rows = min(MC, until - i);
    const block = c + <usize>i * cRow;
    if (k == 0 && !accumulate) for (let r = 0; r < rows; r++) memory.fill(block + <usize>r * cRow, 0, <usize>n << 2);
    for (let p = 0; p < k; p += KC) {
      const depth = min(KC, k - p);
      packA(panelsA, a + <usize>i * aRow + <usize>p * aColumn, rows, depth, aRow, aColumn, 1);
      multiplyPanels(panelsA, panels + <usize>p * 32, rows, n, depth, k, block, cRow, accumulate || p > 0, edge);
    }
    finish(block, rows, n, cRow, bias, activation, slope);
  }
}

/** Products `from` <= i < `until` of a batch: C_i [m, n] = A_i x B_i. `steps` are the bytes from one matrix to the next. */
export function gemmBatch(
  from: i32, until: i32, scratch: usize, a: usize, aStep: usize, aRow: usize, aColumn: usize,
  b: usize, bStep: usize, bRow: usize, bColumn: usize, c: usize, m: i32, n: i32, k: i32,
): void {
  const panels = scratch + gemmScratch(k);
  const cRow = <usize>n << 2;
  for (let i = from; i < until; i++) {
    if (bStep != 0 || i == from) packPanels(0, (n + NR - 1) / NR, 0, panels, b + <usize>i * bStep, bRow, bColumn, k, n, k);
    const to = c + <usize>i * <usize>m * cRow;
    gemmRows(0, m, scratch, a + <usize>i * aStep, aRow, aColumn, panels, to, cRow, n, k, false, 0, 0, 0);
  }
}

/**
 * Columns `from` <= j < `until` of C [m, n] = A [m, k] x B for few rows, where packing B would cost as much as the
 * product; B's rows are dense, or A's and B's columns. Then + bias and activation, as in `gemmRows`.
 */
export function gemmFewRows(
  from: i32, until: i32, _scratch: usize, a: usize, aRow: usize, aColumn: usize, b: usize, bRow: usize, bColumn: usize,
  c: usize, m: i32, n: i32, k: i32, bias: usize, activation: i32, slope: f32,
): void {
  const cRow = <usize>n << 2;
  const columns = until - from;
  const to = c + (<usize>from << 2);
  const at = b + <usize>from * bColumn;
  if (bColumn == 4) fewRowsTimesMatrix(a, aRow, aColumn, at, bRow, to, cRow, m, columns, k);
  else for (let i = 0; i < m; i++) rowTimesTransposed(a + <usize>i * aRow, at, bColumn, to + <usize>i * cRow, columns, k);
  finish(to, m, columns, cRow, bias == 0 ? 0 : bias + (<usize>from << 2), activation, slope);
}

/** C (+)= panels of A x panels of B; `panelDepth` is how much of k a panel of B holds, `depth` how much is used. */
function multiplyPanels(
  panelsA: usize, panelsB: usize, rows: i32, columns: i32, depth: i32, panelDepth: i32,
  c: usize, cRow: usize, accumulate: bool, edge: usize,
): void {
  for (let j = 0; j < columns; j += NR) {
    const panelB = panelsB + (<usize>j * <usize>panelDepth << 2);
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

/** Few rows of A times B as it lies, four of B's rows at a time, in strips of C that stay in the cache. */
function fewRowsTimesMatrix(
  a: usize, aRow: usize, aColumn: usize, b: usize, bRow: usize, c: usize, cRow: usize, m: i32, n: i32, k: i32,
): void {
  for (let i = 0; i < m; i++) memory.fill(c + <usize>i * cRow, 0, <usize>n << 2);
  for (let jc = 0; jc < n; jc += STRIP) {
    const columns = min(STRIP, n - jc);
    for (let p = 0; p < k; p += 4) {
      const left = k - p;
      const b0 = b + <usize>p * bRow + (<usize>jc << 2);
      for (let i = 0; i < m; i++) {
        const x = a + <usize>i * aRow + <usize>p * aColumn;
        const to = c + <usize>i * cRow + (<usize>jc << 2);
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
