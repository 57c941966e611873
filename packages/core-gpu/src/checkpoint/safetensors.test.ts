import * as tf from '@tensorflow/tfjs-core'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { countLeaks } from '../testing/leaks.ts'
import type { SafetensorsType } from './number-types.ts'
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts'

/** A file by hand: length, header text, data. */
function fileOf(header: string | object, data: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
  const length = [json.length & 255, json.length >>> 8, 0, 0, 0, 0, 0, 0]
  return Uint8Array.from([...length, ...json, ...data])
}

const entry = (dtype: string, shape: number[], begin: number, end: number): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

async function valuesOf(tensor: tf.Tensor): Promise<number[]> {
  return Array.from(await tensor.data())
}

/** Writes one value as a type and gives back its bytes, lowest first. */
async function bytesAs(dtype: SafetensorsType, values: number[], from: tf.DataType = 'float32'): Promise<number[]> {
  const x = tf.tensor1d(values, from as 'float32')
  const file = await encodeSafetensors({ x }, { dtype: () => dtype })
  x.dispose()
  const headerLength = new DataView(file.buffer).getUint32(0, true)
  return Array.from(file.subarray(8 + headerLength))
}

describe('safetensors', () => {
  beforeAll(async () => {
    await useBackend('cpu')
  })

  it('writes the bytes of the specification', async () => {
    const state = { b: tf.tensor1d([1, -2], 'int32'), a: tf.tensor2d([[0.5, -1]]), c: tf.tensor1d([1, 0], 'bool') }
    const header =
      '{"__metadata__":{"format":"pt"},' +
      '"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
      '"b":{"dtype":"I32","shape":[2],"data_offsets":[8,16]},' +
      '"c":{"dtype":"BOOL","shape":[2],"data_offsets":[16,18]}}'
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    const data = [0, 0, 0, 0x3f, 0, 0, 0x80, 0xbf, 1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 1, 0]
    expect(await encodeSafetensors(state, { metadata: { format: 'pt' } })).toEqual(fileOf(padded, data))
  })

  it('reads a file made by hand, in any order and at odd offsets', async () => {
    const file = fileOf(
      {
        flag: entry('BOOL', [1], 0, 1),
        half: entry('F16', [3], 9, 15),
        long: entry('I64', [], 1, 9),
        brain: entry('BF16', [2], 15, 19),
        empty: entry('F32', [0, 4], 19, 19),
        float: entry('F32', [1], 19, 23),
        byte: entry('U8', [2], 23, 25),
        double: entry('F64', [1], 25, 33),
        __metadata__: { a: 'b' },
      },
      [
        [1],
        [0xfe, 255, 255, 255, 255, 255, 255, 255],
        [0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc],
        [0x80, 0x3f, 0x20, 0xc1],
        [0, 0, 0x40, 0x40],
        [0, 200],
        [0, 0, 0, 0, 0, 0, 0xf8, 0xbf],
      ].flat(),
    )
    // The same file inside a larger buffer, at an odd place.
    const moved = new Uint8Array(file.length + 5)
    moved.set(file, 3)
    for (const bytes of [file, moved.subarray(3, 3 + file.length), Buffer.from(file)]) {
      const { tensors, metadata } = decodeSafetensors(bytes)
      expect(metadata).toEqual({ a: 'b' })
      const read = Object.fromEntries(
        await Promise.all(
          Object.entries(tensors).map(async ([name, t]) => [name, [t.dtype, t.shape, await valuesOf(t)]]),
        ),
      )
      expect(read).toEqual({
        flag: ['bool', [1], [1]],
        half: ['float32', [3], [1, 2 ** -24, -Infinity]],
        long: ['int32', [], [-2]],
        brain: ['float32', [2], [1, -10]],
        empty: ['float32', [0, 4], []],
        float: ['float32', [1], [3]],
        byte: ['int32', [2], [0, 200]],
        double: ['float32', [1], [-1.5]],
      })
      tf.dispose(tensors)
    }
  })

  it('does not share memory with what it was read from', async () => {
    const file = fileOf({ x: entry('F32', [1], 0, 4) }, [0, 0, 128, 63])
    const { x } = decodeSafetensors(file).tensors
    file.fill(0)
    expect(await valuesOf(x!)).toEqual([1])
  })

  it.each([
    // One half step above 1 is a tie: to the even 1. Above the next, a tie again: up.
    ['F16', [1 + 2 ** -11], [0x00, 0x3c]],
    ['F16', [1 + 3 * 2 ** -11], [0x02, 0x3c]],
    ['F16', [1 + 2 ** -11 + 2 ** -20], [0x01, 0x3c]],
    ['F16', [65504, 65519.99609375, 65520], [0xff, 0x7b, 0xff, 0x7b, 0x00, 0x7c]],
    ['F16', [-0, Number.NaN, -Infinity], [0x00, 0x80, 0x00, 0x7e, 0x00, 0xfc]],
    ['F16', [2 ** -24, 2 ** -25, 1.5 * 2 ** -25, 2 ** -14 - 2 ** -25], [0x01, 0, 0, 0, 0x01, 0, 0x00, 0x04]],
    ['BF16', [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20], [0x80, 0x3f, 0x82, 0x3f, 0x81, 0x3f]],
    ['BF16', [3.4028234663852886e38, Number.NaN, -0], [0x80, 0x7f, 0xc0, 0x7f, 0x00, 0x80]],
  ] as [SafetensorsType, number[], number[]][])(
    'rounds %s %j to nearest, ties to even',
    async (dtype, values, bytes) => {
      expect(await bytesAs(dtype, values)).toEqual(bytes)
    },
  )

  it('reads every F16 and BF16 back as it was written', async () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const words = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i)
      const file = fileOf({ x: entry(dtype, [2 ** 16], 0, 2 ** 17) }, Array.from(new Uint8Array(words.buffer)))
      const { x } = decodeSafetensors(file).tensors
      const values = await valuesOf(x!)
      const again = new Uint16Array(Uint8Array.from(await bytesAs(dtype, values)).buffer)
      for (let word = 0; word < 2 ** 16; word++) if (!Number.isNaN(values[word])) expect(again[word]).toBe(word)
    }
  })

  it.each([
    ['I64', [-1], [255, 255, 255, 255, 255, 255, 255, 255]],
    ['I16', [-2], [254, 255]],
    ['I8', [-3], [253]],
    ['U16', [65535], [255, 255]],
    ['U8', [255], [255]],
  ] as [SafetensorsType, number[], number[]][])('writes %s', async (dtype, values, bytes) => {
    expect(await bytesAs(dtype, values, 'int32')).toEqual(bytes)
  })

  it('gives back what it was given', async () => {
    const tensor = fc.record({
      shape: fc.array(fc.nat({ max: 3 }), { maxLength: 4 }),
      dtype: fc.constantFrom<'float32' | 'int32' | 'bool'>('float32', 'int32', 'bool'),
      seed: fc.nat({ max: 1000 }),
    })
    const names = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('__proto__', 'a"b', 'toString', 'ü.0', ' '))
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(names, tensor),
        fc.dictionary(fc.string(), fc.string()),
        async (specs, metadata) => {
          const state = Object.fromEntries(
            Object.entries(specs).map(([name, { shape, dtype, seed }]) => {
              const size = shape.reduce((a, b) => a * b, 1)
              const values = Array.from({ length: size }, (_, i) => (dtype === 'bool' ? (seed + i) % 2 : seed - 7 * i))
              return [name, tf.tensor(values, shape, dtype)]
            }),
          )
          const back = decodeSafetensors(await encodeSafetensors(state, { metadata }))
          expect(Object.keys(back.tensors).sort()).toEqual(Object.keys(state).sort())
          expect(Object.entries(back.metadata).sort()).toEqual(Object.entries(metadata).sort())
          for (const [name, t] of Object.entries(back.tensors)) {
            expect([t.dtype, t.shape]).toEqual([state[name]!.dtype, state[name]!.shape])
            expect(await valuesOf(t)).toEqual(await valuesOf(state[name]!))
          }
          tf.dispose([state, back.tensors] as tf.TensorContainer)
        },
      ),
    )
  })

  const good = { x: entry('F32', [1], 0, 4) }
  const four = [0, 0, 0, 0]
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /source: .*expected at least 8 bytes, got 0/],
    ['a header that ends too late', fileOf(good).subarray(0, 20), /truncated: the header should end at byte/],
    [
      'an endless header',
      Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255]),
      /18446744073709551615 bytes long, at most 100000000/,
    ],
    ['no JSON', fileOf('{"x":'), /the header is no JSON/],
    ['bad UTF-8', Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 0xff]), /the header is no JSON/],
    ['an array', fileOf('[]'), /does not start with "\{"/],
    ['a space in front', fileOf(' {}'), /does not start with "\{"/],
    ['truncated data', fileOf(good, [0, 0]), /truncated: entry "x" ends at byte 4 of 2/],
    ['bytes left over', fileOf(good, [...four, 0]), /1 bytes after the last entry belong to none/],
    ['overlap', fileOf({ ...good, y: entry('U8', [1], 3, 4) }, four), /entry "y" overlaps the one before it/],
    [
      'a gap',
      fileOf({ ...good, y: entry('U8', [1], 5, 6) }, [...four, 0, 0]),
      /gap before entry "y" \(begins at 5, expected 4\)/,
    ],
    ['a gap at the start', fileOf({ x: entry('F32', [1], 1, 5) }, [...four, 0]), /gap before entry "x"/],
    ['a wrong size', fileOf({ x: entry('F32', [2], 0, 4) }, four), /entry "x" spans 4 bytes, but F32 \[2\] takes 8/],
    ['a size that is no multiple', fileOf({ x: entry('F32', [1], 0, 3) }, [0, 0, 0]), /entry "x" spans 3 bytes/],
    ['offsets backwards', fileOf({ x: entry('F32', [1], 4, 0) }, four), /entry "x" spans -4 bytes/],
    ['a negative shape', fileOf({ x: entry('F32', [-1], 0, 4) }, four), /entry "x" has no valid shape: \[-1\]/],
    ['a fractional shape', fileOf({ x: entry('F32', [0.5], 0, 4) }, four), /entry "x" has no valid shape/],
    [
      'an overflowing shape',
      fileOf({ x: entry('F32', [2 ** 40, 2 ** 40], 0, 4) }, four),
      /entry "x" spans 4 bytes, but F32/,
    ],
    [
      'three offsets',
      fileOf({ x: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, four),
      /entry "x" has no valid data_offsets/,
    ],
    ['no offsets', fileOf({ x: { dtype: 'F32', shape: [1] } }, four), /entry "x" has no valid data_offsets/],
    [
      'an unknown type',
      fileOf({ x: entry('F8_E4M3', [4], 0, 4) }, four),
      /entry "x" has the unknown dtype "F8_E4M3"; known are F64, F32/,
    ],
    ['an inherited type', fileOf({ x: entry('toString', [4], 0, 4) }, four), /unknown dtype "toString"/],
    ['no entry', fileOf({ x: 3 }), /entry "x" is 3, not an object/],
    [
      'an entry twice',
      fileOf(
        '{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /the entry "x" is there twice/,
    ],
    [
      'a field twice',
      fileOf('{"x":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
      /the entry "dtype" is there twice/,
    ],
    ['metadata that is no object', fileOf({ __metadata__: 'x' }), /__metadata__ is "x", not an object/],
    ['metadata that is no string', fileOf({ __metadata__: { a: 1 } }), /__metadata__ entry "a" is 1, not a string/],
    [
      'a long that is too long',
      fileOf({ x: entry('I64', [1], 0, 8) }, [0, 0, 0, 128, 0, 0, 0, 0]),
      /entry "x": the value 2147483648 is not from -2147483648 to 2147483647/,
    ],
    ['a truth value of 2', fileOf({ x: entry('BOOL', [1], 0, 1) }, [2]), /entry "x": the value 2 is not from 0 to 1/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(RangeError)
    expect(() => decodeSafetensors(bytes)).toThrow(message)
    expect(() => decodeSafetensors(bytes)).toThrow(/^source: /)
  })

  it('refuses most files with a changed byte in the header, and never crashes otherwise', () => {
    const file = fileOf({ x: entry('F32', [1], 0, 4), y: entry('U8', [2], 4, 6) }, [...four, 1, 2])
    fc.assert(
      fc.property(fc.nat({ max: file.length - 7 }), fc.nat({ max: 255 }), (at, byte) => {
        try {
          tf.dispose(decodeSafetensors(file.with(at, byte)).tensors)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
    )
  })

  it('refuses to write what does not fit', async () => {
    const x = tf.tensor1d([300], 'int32')
    const write = (state: Record<string, tf.Tensor>, type?: string): Promise<unknown> =>
      encodeSafetensors(state, { dtype: () => type as SafetensorsType })
    await expect(write({ x }, 'U8')).rejects.toThrow(/state: entry "x": the value 300 is not from 0 to 255/)
    await expect(write({ x }, 'F16')).rejects.toThrow(/dtype: entry "x" is int32 and cannot be written as F16/)
    await expect(write({ x }, 'F8')).rejects.toThrow(/dtype: unknown type F8 for entry "x"/)
    await expect(write({ __metadata__: x })).rejects.toThrow(/"__metadata__" cannot be the name/)
    await expect(write({ x: tf.tensor1d(['a']) })).rejects.toThrow(/entry "x" is string/)
    await expect(encodeSafetensors({ x }, { metadata: { step: 3 as never } })).rejects.toThrow(
      /metadata.step: expected a string, got 3/,
    )
  })

  it('leaves nothing behind, also when the last entry is bad', async () => {
    const x = tf.ones([3])
    const bytes = await encodeSafetensors({ x })
    expect(await countLeaks(() => encodeSafetensors({ x }))).toBe(0)
    expect(await countLeaks(() => decodeSafetensors(bytes).tensors)).toBe(0)
    const bad = fileOf({ a: entry('U8', [1], 0, 1), b: entry('BOOL', [1], 1, 2) }, [1, 7])
    expect(await countLeaks(() => void expect(() => decodeSafetensors(bad)).toThrow(RangeError))).toBe(0)
  })
})
