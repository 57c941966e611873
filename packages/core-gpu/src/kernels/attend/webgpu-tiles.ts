// The WGSL that the attention kernels share. A workgroup of 64 owns 4 R rows of one kind (queries, or keys) and goes
// through the rows of the other kind in tiles of 4 C, with R C = 64. Each invocation has a block of 4 x 4 of a tile's
// products in its registers, and of what is summed up for the own rows 4 rows of every 4 C-th block of 4 columns.
import * as tf from '@tensorflow/tfjs-core'
import type { Binding } from '../webgpu-program.ts'
import type { AttendAttributes, AttendInputs, AttendSizes } from './contract.ts'

/** Invocations of a workgroup. */
export const lanes = 64

const depth = 16

/** The shape of a tile: `R` and `C`. */
export interface Tile {
  readonly down: number
  readonly across: number
}

/** The numbers 0 ... count - 1, to write out what a shader must not loop over: arrays in registers have no variable index. */
export function each<T>(count: number, write: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => write(i))
}

/** `bias` and `mask` as one tensor, because a shader binds few: added where it is float32, hiding where it is bool and 0. */
export interface Screen {
  readonly tensor: tf.Tensor4D
  /** whether it is a new one, to be disposed */
  readonly owned: boolean
}

/** Joins bias and mask. */
export function screenOf({ bias, mask }: AttendInputs): Screen | null {
  if (bias && mask) return { tensor: tf.where(mask, bias, hiddenScore), owned: true }
  const tensor = bias ?? mask
  return tensor ? { tensor, owned: false } : null
}

// Below any score that means something, and finite, since WGSL has no infinity.
const hiddenScore = -3e38

/** Sizes for the shader. */
export function attendUniforms(
  { heads, groups, queries, keys, width, valueWidth }: AttendSizes,
  { left, right }: AttendAttributes,
  screen: Screen | null,
): Record<string, number> {
  const strides = screen ? stridesOf(screen.tensor.shape) : []
  const screenSizes = Object.fromEntries(strides.map((stride, axis) => [`screen${axis}`, stride]))
  return { perGroup: heads / groups, groups, queries, keys, width, valueWidth, left, right, ...screenSizes }
}

/** Numbers for the shader. */
export function attendNumbers({ scale, softcap }: AttendAttributes): Record<string, number> {
  return softcap > 0 ? { scale, softcap } : { scale }
}

/** How far apart neighbours along each axis are; 0 where there is one for all. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((size, axis) => (size === 1 ? 0 : tf.util.sizeFromShape(shape.slice(axis + 1) as number[])))
}

/** The reads of the kernels that compute scores. */
export function scoreReads({ q, k, v }: AttendInputs, screen: Screen | null): Record<string, Binding> {
  const isHalf = (x: tf.Tensor): boolean => x.dtype === 'int32'
  return {
    q,
    k: isHalf(k) ? { tensor: k, as: 'u32' } : k,
    v: isHalf(v) ? { tensor: v, as: 'u32' } : rowsOfFour(v),
    ...(screen && { screen: screen.tensor }),
  }
}

const readFloat = (name: string, at: string): string => `${name}[${at}]`

/** WGSL for one number of a tensor at half precision. */
export function readHalf(name: string, at: string): string {
  return `unpack2x16float(${name}[(${at}) / 2u])[(${at}) % 2u]`
}

/** A tensor bound for `loadFour`. */
export function rowsOfFour(tensor: tf.TensorInfo): Binding {
  return isWide(tensor.shape.at(-1)!) ? { tensor, as: 'vec4<f32>' } : tensor
}

/** The last dimension of a tensor in a shader: a size by its name there, so that one program serves many. */
export interface Width {
  /** WGSL */
  readonly size: string
  /** whether it is bound as vec4, or at half precision a multiple of 4 */
  readonly wide: boolean
  /** whether it is at half precision */
  readonly half: boolean
  /** blocks of columns that an invocation sums up */
  readonly passes: number
}

/** The shader's view of a dimension of `columns` in sums of a tile. */
export function widthOf(size: string, columns: number, { across }: Tile, wide: boolean = isWide(columns)): Width {
  return { size, wide, half: false, passes: Math.ceil(columns / (4 * across)) }
}

const isWide = (width: number): boolean => width % 4 === 0

/** WGSL for 4 columns of a row of a tensor that is bound by `rowsOfFour`; beyond the width they may be anything. */
function loadFour(name: string, { size, wide, half }: Width, row: string, column: string): string {
  if (half && wide) {
    const pair = (i: number): string => `unpack2x16float(${name}[((${row}) * ${size} + ${column}) / 2u + ${i}u])`
    return `vec4<f32>(${pair(0)}, ${pair(1)})`
  }
  if (half) return `vec4<f32>(${each(4, (i) => readHalf(name, `(${row}) * ${size} + ${column} + ${i}u`)).join(', ')})`
  if (wide) return `${name}[((${row}) * ${size} + ${column}) / 4u]`
  const at = (i: number): string => `${name}[(${row}) * ${size} + ${column} + ${i}u]`
  return `vec4<f32>(${each(4, at).join(', ')})`
}

/** WGSL that stores 4 columns of a row, as far as there are. */
function storeFour(name: string, width: Width, row: string, column: string, value: string): string {
  if (width.wide) return `${loadFour(name, width, row, column)} = ${value};`
  return each(4, (i) => `if (${column} + ${i}u < ${width.size}) { ${name}[(${row}) * ${width.size} + ${column} + ${i}u] = (${value})[${i}]; }`).join('\n') // prettier-ignore
}

/** WGSL of the constants, workgroup memory and functions of scores. */
export function scoreDeclarations(
  { down, across }: Tile,
  { softcap }: AttendAttributes,
  screen: Screen | null,
): string {
  const four = each(4, (i) => `screen[at[${i}]]`).join(', ')
  const screenAt = screen?.tensor.dtype === 'float32' ? ` + vec4<f32>(${four})` : ''
  const screenShows = screen?.tensor.dtype === 'bool' ? ` & (vec4<i32>(${four}) != vec4<i32>())` : ''
  return `
    const hidden = -3e38;
    const shownFrom = -1e38;
    var<workgroup> ownTile: array<vec4<f32>, ${depth * down}>; // [depth, own rows / 4]
    var<workgroup> otherTile: array<vec4<f32>, ${depth * across}>; // [depth, other rows / 4]
    var<workgroup> weights: array<vec4<f32>, ${4 * lanes}>; // [other rows, own rows / 4]

    // Without branches, which some compilers take badly in such number.
    fn capped(products: vec4<f32>) -> vec4<f32> {
      let scores = products * u.scale;
      return ${softcap > 0 ? 'u.softcap * tanh(clamp(scores / u.softcap, vec4<f32>(-15.0), vec4<f32>(15.0)))' : 'scores'};
    }

    // Capped scores as the softmax takes them; distances are from the query to the key, \`at\` is the place in the screen.
    fn shown(scores: vec4<f32>, distances: vec4<i32>, exist: vec4<bool>, at: vec4<u32>) -> vec4<f32> {
      let near = (distances <= vec4<i32>(i32(u.right))) & (distances >= vec4<i32>(-i32(u.left)));
      return select(vec4<f32>(hidden), scores${screenAt}, exist & near${screenShows});
    }`
}

/**
 * WGSL that adds to `dot0` ... `dot3` (one for each of the invocation's other rows, a vec4 over its own rows) the products
 * over `width` of the rows from `own.at` and `other.at` on, of which `own.count` and `other.count` exist; the rest count
 * as zeros.
 */
export function products(
  { down, across }: Tile,
  names: readonly [dot: string, own: string, other: string],
  width: string,
  own: { at: string; count: string },
  other: { at: string; count: string },
  readOther: (name: string, at: string) => string = readFloat,
): string {
  const [dot, ownName, otherName] = names
  const stage = (
    tile: string,
    blocks: number,
    name: string,
    { at, count }: { at: string; count: string },
    readAt: (name: string, at: string) => string,
  ): string => `
    for (var block = lane / ${depth}u; block < ${blocks}u; block += ${lanes / depth}u) {
      let row = block * 4u;
      ${tile}[(lane % ${depth}u) * ${blocks}u + block] = vec4<f32>(
        ${each(4, (i) => `select(0.0, ${readAt(name, `(${at} + row + ${i}u) * ${width} + p`)}, (p < ${width}) & (row + ${i}u < ${count}))`).join(',\n')}
      );
    }`
  return `
    ${each(4, (j) => `var ${dot}${j} = vec4<f32>();`).join(' ')}
    for (var start = 0u; start < ${width}; start += ${depth}u) {
      let p = start + lane % ${depth}u;
      workgroupBarrier();
      ${stage('ownTile', down, ownName, own, readFloat)}
      ${stage('otherTile', across, otherName, other, readOther)}
      workgroupBarrier();
      for (var slot = 0u; slot < ${depth}u; slot++) {
        let a = ownTile[slot * ${down}u + lane / ${across}u];
        let b = otherTile[slot * ${across}u + lane % ${across}u];
        ${each(4, (j) => `${dot}${j} = fma(vec4<f32>(b[${j}]), a, ${dot}${j});`).join(' ')}
      }
    }`
}

/** WGSL of the sums: for each of the 4 own rows and each pass 4 columns. */
export function declareSums(name: string, count: number): string {
  return each(count, (pass) => each(4, (row) => `var ${name}${pass}_${row} = vec4<f32>();`).join(' ')).join('\n')
}

/**
 * WGSL that adds weights (in workgroup memory) times rows of `rows` from `at` on to the sums.
 *
 * Rows from `count` on are not read: what they hold may be NaN.
 */
export function addWeighted(
  { down, across }: Tile,
  sums: string,
  rows: string,
  width: Width,
  at: string,
  count: string,
): string {
  const pass = (i: number): string => `
    {
      let column = ${i * 4 * across}u + (lane % ${across}u) * 4u;
      if (column < ${width.size}) {
        let value = ${loadFour(rows, width, `${at} + j`, 'column')};
        ${each(4, (row) => `${sums}${i}_${row} = fma(vec4<f32>(weight[${row}]), value, ${sums}${i}_${row});`).join(' ')}
      }
    }`
  return `
    for (var j = 0u; j < ${count}; j++) {
      let weight = weights[j * ${down}u + lane / ${across}u];
      ${each(width.passes, pass).join('')}
    }`
}

/** WGSL that stores the sums times `factor` of each own row below `count`. */
export function storeSums(
  { across }: Tile,
  sums: string,
  target: string,
  width: Width,
  at: string,
  count: string,
  factor: (row: number) => string,
): string {
  return each(width.passes, (pass) => `
    {
      let column = ${pass * 4 * across}u + (lane % ${across}u) * 4u;
      if (column < ${width.size}) {
        ${each(4, (row) => `if ((lane / ${across}u) * 4u + ${row}u < ${count}) {
          ${storeFour(target, width, `${at} + (lane / ${across}u) * 4u + ${row}u`, 'column', `${sums}${pass}_${row} * ${factor(row)}`)}
        }`).join('\n')}
      }
    }`).join('') // prettier-ignore
}
