import { PNG } from 'pngjs'
import { pixels } from './data.ts'

const side = Math.sqrt(pixels)
const gap = 2

/**
 * Draws rows of digits below one another.
 * @param rows each `columns` digits one after the other, 0 to 1, dark ink on a light ground
 * @returns a grey PNG
 */
export function gridOfDigits(rows: readonly ArrayLike<number>[], columns: number): Uint8Array {
  const width = columns * (side + gap) - gap
  const height = rows.length * (side + gap) - gap
  const image = new PNG({ width, height, colorType: 0, inputColorType: 0, inputHasAlpha: false, bitDepth: 8 })
  image.data = Buffer.alloc(width * height, 255)
  for (const [row, values] of rows.entries()) {
    for (let i = 0; i < columns * pixels; i++) {
      const [column, place] = [Math.floor(i / pixels), i % pixels]
      const x = column * (side + gap) + (place % side)
      const y = row * (side + gap) + Math.floor(place / side)
      image.data[y * width + x] = Math.round(255 * (1 - values[i]!))
    }
  }
  return PNG.sync.write(image, { colorType: 0, inputColorType: 0, inputHasAlpha: false, bitDepth: 8 })
}
