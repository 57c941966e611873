import * as tf from '@tensorflow/tfjs-core'

interface Commands {
  copyBufferToBuffer(from: object, fromOffset: number, to: object, toOffset: number, size: number): void
  finish(): object
}

/** The parts of tfjs-backend-webgpu 4.22 that are measured with. */
interface WebgpuBackend extends tf.KernelBackend {
  readonly device: {
    readonly queue: { submit(commands: readonly object[]): void; onSubmittedWorkDone(): Promise<void> }
    createBuffer(descriptor: { size: number; usage: number }): object
    createCommandEncoder(): Commands
  }
  uploadToGPU(dataId: object): void
}

/** `GPUBufferUsage.COPY_SRC` and `COPY_DST`. */
const copyUsage = 0x4 | 0x8

/** What measuring on a graphics card takes, which works on after a call returns and has memory of its own. */
export interface GraphicsCard {
  /** waits until all work so far is done */
  settle(): Promise<void>
  /** puts a tensor's numbers into the card's memory now, not at their first use */
  upload(x: tf.Tensor): void
  /** how far the memory taken from the card rises while a function runs, in bytes */
  peakDuring(work: () => Promise<void>): Promise<number>
  /** copies so many bytes in the card's memory, so many times; @returns milliseconds of one copy */
  copy(bytes: number, times: number): Promise<number>
}

/** The card behind the current backend, which must be `webgpu`. */
export function graphicsCard(): GraphicsCard {
  const backend = tf.backend() as WebgpuBackend
  // Made on the card: a small tensor from JavaScript would be sliced there, and wait for nothing.
  const landmark = tf.fill([2], 1)
  const allocated = (): number =>
    (tf.memory() as tf.MemoryInfo & { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU
  let buffers: { from: object; to: object } | undefined

  async function settle(): Promise<void> {
    // The card does its work in order: with the last of it, all is done.
    const one = tf.slice(landmark, [0], [1])
    await one.data()
    one.dispose()
  }

  return {
    settle,
    upload: (x) => backend.uploadToGPU(x.dataId),
    async peakDuring(work) {
      await settle()
      const before = allocated()
      // What is freed is kept for later calls, so what is allocated in the end is the most that was in use.
      await work()
      await settle()
      return Math.max(0, allocated() - before)
    },
    async copy(bytes, times) {
      const { device } = backend
      const make = (): object => device.createBuffer({ size: bytes, usage: copyUsage })
      buffers ??= { from: make(), to: make() }
      const commands = device.createCommandEncoder()
      for (let i = 0; i < times; i++) commands.copyBufferToBuffer(buffers.from, 0, buffers.to, 0, bytes)
      const finished = commands.finish()
      await settle()
      const begun = performance.now()
      device.queue.submit([finished])
      await device.queue.onSubmittedWorkDone()
      return (performance.now() - begun) / times
    },
  }
}
