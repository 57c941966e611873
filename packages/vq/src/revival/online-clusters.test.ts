import * as tf from '@tensorflow/tfjs-core'
import { key, useBackend } from '@x/core-gpu'
import { beforeAll, describe, expect, it } from 'vitest'
import { FreeCodebook } from '../codebooks/free.ts'
import { vqEma } from '../methods/vq-ema/vq-ema.ts'
import { vq } from '../methods/vq/vq.ts'
import { OnlineClusters } from './online-clusters.ts'

describe.each(['cpu', 'wasm'] as const)('online clustering on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it('moves each code towards its closest vector by how little it is used', async () => {
    const codebook = new FreeCodebook(3, 1, { init: () => tf.tensor2d([0, 10, 60], [3, 1]) })
    const clusters = new OnlineClusters(3, { decay: 0.9 })
    const z = tf.tensor2d([0.5, 1, 0.2, 9, 30], [5, 1])
    clusters.replace(codebook, { z, indices: tf.tensor1d([0, 0, 0, 1, -1], 'int32') }, undefined)
    const [use, codes] = [await clusters.use.data(), await codebook.weight.data()]
    // The last vector does not count: neither as a choice nor as an anchor.
    const shares = [3 / 4, 1 / 4, 0].map((share) => 0.1 * share)
    const anchors = [0.2, 9, 9]
    ;[0, 10, 60].forEach((code, k) => {
      const a = Math.exp((-10 * 3 * shares[k]!) / 0.1 - 1e-3)
      expect(use[k]).toBeCloseTo(shares[k]!, 6)
      expect(codes[k]).toBeCloseTo((1 - a) * code + a * anchors[k]!, 3)
    })
  })

  it.each(['closest', 'random'] as const)('brings far codes into use: anchor %s', async (anchor) => {
    const deadCodes = new OnlineClusters(16, { anchor })
    const quantizer = vq({ dim: 2, codebookSize: 16, deadCodes, init: (s, k) => k.normal(s, { mean: 50 }) })
    const z = key(1).normal([200, 2])
    for (let n = 0; n < 8; n++) tf.dispose(quantizer.quantize(z, { training: true, key: key(n) }))
    const chosen = new Set(await quantizer.quantize(z).indices.data())
    // Equal distances make several codes take the same closest vector; random ones differ.
    expect(chosen.size).toBeGreaterThan(anchor === 'random' ? 8 : 1)
    // All but the one that was chosen at the start have moved.
    const heights = (await tf.max(quantizer.codebook(), 1).data()).toSorted()
    for (const height of heights.slice(0, -1)) expect(height).toBeLessThan(10)
  })

  it('refuses codes that averaging would move back, and bad options', () => {
    const quantizer = vqEma({ dim: 2, codebookSize: 4, deadCodes: new OnlineClusters(4) })
    expect(() => quantizer.quantize(tf.zeros([2, 2]), { training: true })).toThrow(/^revive/)
    expect(() => new OnlineClusters(4, { decay: 1 })).toThrow(/^decay/)
    expect(() => new OnlineClusters(4, { anchor: 'farthest' as never })).toThrow(/^anchor/)
    const needsKey = vq({ dim: 2, codebookSize: 4, deadCodes: new OnlineClusters(4, { anchor: 'random' }) })
    expect(() => needsKey.quantize(tf.zeros([2, 2]), { training: true })).toThrow(/^key/)
  })
})
