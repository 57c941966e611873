import { addTo, copyFloats, fillFloats } from "./simd";

/** sums [count, d] = the rows of values [n, d] by id; ids outside are left out. */
export function segmentSum(values: usize, ids: usize, sums: usize, n: i32, d: i32, count: i32): void {
  memory.fill(sums, 0, <usize>(count * d) << 2);
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id >= 0 && id < count) addTo(sums + (<usize>(id * d) << 2), values + (<usize>(i * d) << 2), d);
  }
}

/** out [n, d] = rows of table [count, d] by id; ids outside give `fill`. */
export function gatherRows(table: usize, ids: usize, out: usize, n: i32, d: i32, count: i32, fill: f32): void {
  for (let i = 0; i < n; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id >= 0 && id < count) copyFloats(out, table + (<usize>(id * d) << 2), d);
    else fillFloats(out, fill, d);
    out += <usize>d << 2;
  }
}
