import * as tf from '@tensorflow/tfjs-core'

// TypeScript's own libraries do not describe WebGPU. These are the parts that own kernels use.
interface Buffer {
  readonly size: number
}

interface ComputePass {
  setPipeline(pipeline: object): void
  setBindGroup(index: number, group: object): void
  dispatchWorkgroups(x: number, y: number): void
}

interface Device {
  readonly limits: {
    readonly maxComputeWorkgroupsPerDimension: number
    readonly maxStorageBufferBindingSize: number
  }
  createBindGroup(descriptor: object): object
  createBindGroupLayout(descriptor: object): object
  createComputePipeline(descriptor: object): object
  createPipelineLayout(descriptor: object): object
  createShaderModule(descriptor: { code: string; label: string }): object
  popErrorScope(): Promise<{ readonly message: string } | null>
  pushErrorScope(filter: 'validation'): void
}

interface TensorRecord {
  /** how many tensors share the elements */
  readonly refCount: number
  resource?: Buffer | null
  /** a copy in JavaScript's memory, made by a read */
  values: tf.backend_util.TypedArray | null
}

/** The parts of tfjs-backend-webgpu 4.22 that own kernels use. */
interface WebgpuBackend extends tf.KernelBackend {
  readonly device: Device
  readonly tensorMap: { get(dataId: object): TensorRecord }
  readonly commandEncoder: {
    beginComputePass(descriptor: object): ComputePass
    copyBufferToBuffer(from: Buffer, fromOffset: number, to: Buffer, toOffset: number, size: number): void
  }
  /** tensors that commands not yet submitted use: their buffers must stay */
  readonly commandQueueOwnedIds: WeakSet<object>
  computePassEncoder: ComputePass | null
  dispatchCountInPass: number
  endComputePassEncoder(): void
  ensureCommandEncoderReady(): void
  makeTensorInfo(shape: number[], dtype: tf.DataType): tf.TensorInfo
  makeUniforms(uniforms: { type: 'uint32' | 'float32'; data: number[] }[]): { buffer: Buffer }
  submitQueue(): void
  uploadToGPU(dataId: object): void
}

/** A tensor, or a tensor whose elements the shader takes as something else, such as `vec4<f32>`. */
export type Binding = tf.TensorInfo | { readonly tensor: tf.TensorInfo; readonly as: string }

/** A compute shader and what it works on. */
export interface ComputeProgram {
  /** for WebGPU's messages */
  readonly name: string
  /** by the names that the shader uses; no tensor may be among both `reads` and `writes`, nor any be empty */
  readonly reads: Readonly<Record<string, Binding>>
  /** written, and may be read too: whatever these hold is not lost by itself */
  readonly writes: Readonly<Record<string, Binding>>
  /** whole numbers below 2^32, in the shader `u.<name>` */
  readonly sizes?: Readonly<Record<string, number>>
  /** float32, in the shader `u.<name>` */
  readonly numbers?: Readonly<Record<string, number>>
  /** how many workgroups; not bound to the limit of one dimension */
  readonly workgroups: number
  /** invocations of a workgroup; default 256 */
  readonly workgroupSize?: number
  /** WGSL beside `main`: constants, workgroup memory, functions */
  readonly declarations?: string
  /** WGSL: the body of `main`, for invocation `lane` of workgroup `group`; both are u32, `group` is uniform */
  readonly main: string
}

/** Makes a new tensor of the backend, its elements not set. */
export function makeTensor(backend: tf.KernelBackend, shape: number[], dtype: tf.DataType = 'float32'): tf.TensorInfo {
  return (backend as WebgpuBackend).makeTensorInfo(shape, dtype)
}

/**
 * Records a compute program among the backend's own commands; it runs in order with them.
 *
 * The backend's own way of running programs gives each one output and none in place; this one binds any buffers. Reads of
 * a tensor that is written here see the new elements, also after earlier reads. `tf.time` does not count these programs.
 * @throws RangeError when a tensor is larger than the adapter can bind
 */
export function runProgram(webgpu: tf.KernelBackend, program: ComputeProgram): void {
  const backend = webgpu as WebgpuBackend
  const { device } = backend
  const [reads, writes] = [Object.values(program.reads), Object.values(program.writes)]
  const buffers = [...reads, ...writes].map((binding) => bufferOf(backend, binding, program.name))
  for (const binding of writes) backend.tensorMap.get(tensorOf(binding).dataId).values = null

  const uniforms = [
    ...[program.workgroups, ...Object.values(program.sizes ?? {})].map((size) => ({ type: 'uint32', data: [size] })),
    ...Object.values(program.numbers ?? {}).map((number) => ({ type: 'float32', data: [number] })),
  ] as { type: 'uint32' | 'float32'; data: number[] }[]
  const { pipeline, layout } = pipelineOf(backend, program)
  const resources = [...buffers.map((buffer) => ({ buffer })), backend.makeUniforms(uniforms)]
  const entries = resources.map((resource, binding) => ({ binding, resource }))

  backend.ensureCommandEncoderReady()
  const pass = (backend.computePassEncoder ??= backend.commandEncoder.beginComputePass({}))
  pass.setPipeline(pipeline)
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }))
  const width = Math.min(program.workgroups, device.limits.maxComputeWorkgroupsPerDimension)
  pass.dispatchWorkgroups(width, Math.ceil(program.workgroups / width))

  for (const binding of [...reads, ...writes]) backend.commandQueueOwnedIds.add(tensorOf(binding).dataId)
  backend.dispatchCountInPass++
  if (backend.dispatchCountInPass >= tf.env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) {
    backend.endComputePassEncoder()
    backend.submitQueue()
  }
}

/**
 * A new tensor with the elements of another one, to be changed in place.
 *
 * It gets the buffer, and leaves the other one without any, to be disposed unread; but where more tensors share the
 * elements, it gets a copy. A new tensor, since a read of the other one that is still under way ends by storing what it
 * read, and would hide the change.
 */
export function takeOver(webgpu: tf.KernelBackend, { dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
  const backend = webgpu as WebgpuBackend
  backend.uploadToGPU(dataId)
  const heir = backend.makeTensorInfo(shape, dtype)
  const from = backend.tensorMap.get(dataId)
  const to = backend.tensorMap.get(heir.dataId)
  if (from.refCount === 1) {
    to.resource = from.resource!
    from.resource = null
    return heir
  }
  backend.uploadToGPU(heir.dataId)
  backend.ensureCommandEncoderReady()
  backend.endComputePassEncoder()
  backend.commandEncoder.copyBufferToBuffer(from.resource!, 0, to.resource!, 0, from.resource!.size)
  backend.commandQueueOwnedIds.add(dataId)
  return heir
}

function tensorOf(binding: Binding): tf.TensorInfo {
  return 'tensor' in binding ? binding.tensor : binding
}

function bufferOf(backend: WebgpuBackend, binding: Binding, program: string): Buffer {
  const { dataId } = tensorOf(binding)
  backend.uploadToGPU(dataId)
  const buffer = backend.tensorMap.get(dataId).resource!
  const limit = backend.device.limits.maxStorageBufferBindingSize
  if (buffer.size > limit)
    throw new RangeError(`${program}: a tensor of ${buffer.size} bytes, and this adapter binds at most ${limit}`)
  return buffer
}

const pipelines = new WeakMap<object, Map<string, { pipeline: object; layout: object }>>()

/** The compiled program; one for each text, so the text must hold all that it was made from. */
function pipelineOf(backend: WebgpuBackend, program: ComputeProgram): { pipeline: object; layout: object } {
  let compiled = pipelines.get(backend)
  if (!compiled) pipelines.set(backend, (compiled = new Map()))
  const code = shader(program)
  let entry = compiled.get(code)
  if (!entry) compiled.set(code, (entry = compile(backend.device, program, code)))
  return entry
}

const computeStage = 4 // GPUShaderStage.COMPUTE

function compile(device: Device, program: ComputeProgram, code: string): { pipeline: object; layout: object } {
  const types = [
    ...Object.keys(program.reads).map(() => 'read-only-storage'),
    ...Object.keys(program.writes).map(() => 'storage'),
    'uniform',
  ]
  const entries = types.map((type, binding) => ({ binding, visibility: computeStage, buffer: { type } }))
  device.pushErrorScope('validation')
  const layout = device.createBindGroupLayout({ entries })
  const pipeline = device.createComputePipeline({
    label: program.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code, label: program.name }), entryPoint: 'main' },
  })
  // WebGPU goes on without a program that does not compile, and the outputs stay as they were: that must not pass silently.
  void refuseErrors(device, program.name)
  return { pipeline, layout }
}

async function refuseErrors(device: Device, program: string): Promise<void> {
  const error = await device.popErrorScope()
  if (error) throw new Error(`${program}: ${error.message}`)
}

function shader({
  reads,
  writes,
  sizes,
  numbers,
  workgroupSize = 256,
  declarations = '',
  main,
}: ComputeProgram): string {
  const storage = (access: string) => (name: string, binding: Binding, place: number) =>
    `@group(0) @binding(${place}) var<storage, ${access}> ${name}: array<${elementOf(binding)}>;`
  const [readOnly, readWrite] = [storage('read'), storage('read_write')]
  const inputs = Object.entries(reads)
  const outputs = Object.entries(writes)
  return `
${inputs.map(([name, binding], i) => readOnly(name, binding, i)).join('\n')}
${outputs.map(([name, binding], i) => readWrite(name, binding, inputs.length + i)).join('\n')}
struct Uniforms {
  workgroups: u32,
  ${Object.keys(sizes ?? {})
    .map((name) => `${name}: u32,`)
    .join(' ')}
  ${Object.keys(numbers ?? {})
    .map((name) => `${name}: f32,`)
    .join(' ')}
}
@group(0) @binding(${inputs.length + outputs.length}) var<uniform> u: Uniforms;
${declarations}
@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let group = workgroup.y * workgroups.x + workgroup.x;
  if (group >= u.workgroups) { return; }
  ${main}
}`
}

function elementOf(binding: Binding): string {
  if ('tensor' in binding) return binding.as
  return binding.dtype === 'float32' ? 'f32' : 'i32'
}
