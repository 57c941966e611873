import { key, simvq, useBackend } from '@x/vq'

await useBackend() // the best one here: native TensorFlow, WebGPU or WebAssembly
const quantizer = simvq({ dim: 64, codebookSize: 1024 })

const z = key(0).normal([8, 16, 16, 64]) // what an encoder hands over, [..., 64]
const { quantized, indices, loss } = quantizer.quantize(z, { training: true })
const again = quantizer.decode(indices) // the same vectors, from the indices alone

console.log(quantized.shape, indices.shape, again.shape, await loss.data())
