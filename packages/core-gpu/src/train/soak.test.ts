import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { attend } from '../kernels/attend/attend.ts'
import type { WasmBackend } from '../kernels/pack.ts'
import { BaseModule } from '../module/module.ts'
import { Conv2d } from '../nn/conv2d.ts'
import { Embedding } from '../nn/embedding.ts'
import { LayerNorm } from '../nn/layer-norm.ts'
import { Linear } from '../nn/linear.ts'
import { AdamW } from '../optim/adamw.ts'
import { type Key, key } from '../random/key.ts'
import { train } from './train.ts'

const steps = Number(process.env['SOAK_STEPS'] ?? 300)

/** A convolution over images, tokens looked up, and attention from the pixels to the tokens. */
class SoakNet extends BaseModule {
  readonly convolution: Conv2d
  readonly embedding: Embedding
  readonly norm: LayerNorm
  readonly head: Linear

  constructor(key: Key) {
    super()
    const [a, b, c] = key.split(3) as [Key, Key, Key]
    this.convolution = new Conv2d(1, 16, { kernelSize: 3, padding: 1, key: a })
    this.embedding = new Embedding(32, 16, { key: b })
    this.norm = new LayerNorm(16)
    this.head = new Linear(16, 1, { key: c })
  }

  /** @param images [B, 8, 8, 1] @param tokens int32 [B, S] */
  forward(images: tf.Tensor4D, tokens: tf.Tensor2D): tf.Tensor {
    const pixels = this.convolution.forward(images)
    const [batch, height, width, channels] = pixels.shape as [number, number, number, number]
    const heads = (x: tf.Tensor): tf.Tensor4D =>
      tf.transpose(tf.reshape(x, [batch, x.size / batch / channels, 2, channels / 2]), [0, 2, 1, 3]) // [B, 2, L, 8]
    const memory = heads(this.embedding.forward(tokens))
    const { output } = attend(heads(pixels), memory, memory)
    const joined = tf.reshape(tf.transpose(output, [0, 2, 1, 3]), [batch, height * width, channels])
    return this.head.forward(this.norm.forward(joined)) // [B, L, 1]
  }
}

it(
  `${steps} training steps leave tensors and memory as they were`,
  async () => {
    await useBackend('wasm')
    const net = new SoakNet(key(0))
    const optimizer = new AdamW({ learningRate: 1e-3 })
    const losses: number[] = []
    let warm: ReturnType<typeof memory> | undefined
    let last = memory()
    await train(net, {
      data: ({ key }) => {
        const [a, b] = key.split(2) as [Key, Key]
        return { images: a.normal([4, 8, 8, 1]), tokens: b.integers([4, 6], { high: 32 }) }
      },
      loss: ({ images, tokens }) => {
        const target = tf.reshape(images as tf.Tensor, [4, 64, 1])
        const output = net.forward(images as tf.Tensor4D, tokens as tf.Tensor2D)
        return tf.mean(tf.square(tf.sub(output, target))) as tf.Scalar
      },
      optimizer,
      steps,
      clip: 1,
      progress: 'silent',
      onStep: ({ step, loss }) => {
        losses.push(loss)
        last = memory()
        if (step === Math.floor(steps / 3)) warm = last
      },
    })
    const report = `${steps} steps: from ${JSON.stringify(warm)} to ${JSON.stringify(last)}`
    if (process.env['SOAK_STEPS'] !== undefined) console.log(report)
    expect(losses.at(-1), 'it learns').toBeLessThan(losses[0]!)
    expect(last.tensors, report).toBe(warm!.tensors)
    expect(last.buffers, report).toBe(warm!.buffers)
    expect(last.heap, report).toBe(warm!.heap)
    // The collector of JavaScript takes its time; a leak of one small tensor for each step would be more in a long run.
    if (steps >= 5000) expect(last.resident - warm!.resident, report).toBeLessThan(32)
    net.dispose()
    optimizer.dispose()
  },
  60_000 + 100 * steps,
)

/** Tensors, the WebAssembly heap in bytes, and the process's resident memory in MiB. */
function memory(): { tensors: number; buffers: number; heap: number; resident: number } {
  const { numTensors, numDataBuffers } = tf.memory()
  const heap = tf.getBackend() === 'wasm' ? (tf.backend() as WasmBackend).wasm.HEAPU8.length : 0
  return {
    tensors: numTensors,
    buffers: numDataBuffers,
    heap,
    resident: Math.round(process.memoryUsage.rss() / 2 ** 20),
  }
}
