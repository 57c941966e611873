import * as tf from '@tensorflow/tfjs-core'
import { requireShape } from '@x/core-gpu'
import type { Quantizer } from './quantizer.ts'

/** How much of one codebook is in use, counted from zero over all vectors seen. */
export interface CodebookUsage {
  /** how often each code was chosen, `[K]` */
  readonly counts: Float64Array
  /** share of codes chosen at least once, 0 to 1 */
  readonly usage: number
  /** exp of the entropy of the choices, 1 to K */
  readonly perplexity: number
}

/** What quantizing some data shows. */
export interface QuantizationStatistics {
  /** vectors seen (masked ones are not) */
  readonly vectors: number
  /** each codebook's, in order */
  readonly codebooks: readonly CodebookUsage[]
  /** the codebooks' mean usage */
  readonly usage: number
  /** the codebooks' mean perplexity */
  readonly perplexity: number
  /** mean over vectors of |z - q|^2, summed over dimensions */
  readonly quantizationError: number
  /** the same, per element */
  readonly meanSquaredError: number
  /** sum |z - q|^2 over sum |z - mean z|^2: 1 is as bad as one code */
  readonly relativeError: number
}

/**
 * Counts usage and errors over any number of batches, from zero, in double precision.
 *
 * Usage is capped by the number of vectors: over fewer than some 20 K of them it cannot be near 1.
 */
export class QuantizationMeter {
  readonly #counts: Float64Array[]
  readonly #sum: Float64Array
  #squares = 0
  #errors = 0
  #vectors = 0

  constructor(quantizer: Pick<Quantizer, 'codebookSize' | 'codebooks' | 'dim'>) {
    this.#counts = Array.from({ length: quantizer.codebooks }, () => new Float64Array(quantizer.codebookSize))
    this.#sum = new Float64Array(quantizer.dim)
  }

  /**
   * Adds a batch.
   * @param z vectors, `[..., d]`
   * @param quantized their codes, `[..., d]`
   * @param indices int32, `[...]` or `[..., c]`; an index -1 is passed over, and the vector if its first index is -1
   */
  async add(z: tf.Tensor, quantized: tf.Tensor, indices: tf.Tensor): Promise<void> {
    const [d, c] = [this.#sum.length, this.#counts.length]
    requireShape('quantized', quantized, z.shape)
    const [vectors, codes, chosen] = await Promise.all([z.data(), quantized.data(), indices.data()])
    chosen.forEach((index, i) => {
      if (index >= 0) this.#counts[i % c]![index]!++
    })
    const n = vectors.length / d
    for (let i = 0; i < n; i++) {
      // A vector's first index, or one of the image it belongs to.
      if (chosen[Math.floor((i * chosen.length) / n)]! < 0) continue
      this.#vectors++
      for (let k = 0; k < d; k++) {
        const value = vectors[i * d + k]!
        this.#sum[k]! += value
        this.#squares += value * value
        this.#errors += (value - codes[i * d + k]!) ** 2
      }
    }
  }

  /** @throws RangeError before any vector was added */
  statistics(): QuantizationStatistics {
    const n = this.#vectors
    if (n === 0) throw new RangeError('vectors: expected at least one, got none')
    const codebooks = this.#counts.map(usageOf)
    const mean = (of: (usage: CodebookUsage) => number): number =>
      codebooks.reduce((sum, usage) => sum + of(usage), 0) / codebooks.length
    const spread = this.#squares - this.#sum.reduce((sum, total) => sum + (total * total) / n, 0)
    return {
      vectors: n,
      codebooks,
      usage: mean((of) => of.usage),
      perplexity: mean((of) => of.perplexity),
      quantizationError: this.#errors / n,
      meanSquaredError: this.#errors / (n * this.#sum.length),
      relativeError: this.#errors / spread,
    }
  }
}

/**
 * Quantizes held-out vectors and counts, from zero.
 * @param batches vectors, each `[..., d]`; they are left to the caller
 */
export async function measureQuantizer(
  quantizer: Quantizer,
  batches: Iterable<tf.Tensor> | AsyncIterable<tf.Tensor>,
): Promise<QuantizationStatistics> {
  const meter = new QuantizationMeter(quantizer)
  for await (const z of batches) {
    const { quantized, indices, loss } = quantizer.quantize(z)
    await meter.add(z, quantized, indices)
    tf.dispose([quantized, indices, loss])
  }
  return meter.statistics()
}

function usageOf(counts: Float64Array): CodebookUsage {
  const total = counts.reduce((a, b) => a + b, 0)
  const entropy = counts.reduce((sum, n) => (n > 0 ? sum - (n / total) * Math.log(n / total) : sum), 0)
  return { counts, usage: counts.filter((n) => n > 0).length / counts.length, perplexity: Math.exp(entropy) }
}
