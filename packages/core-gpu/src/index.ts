export { stopGradient } from './autodiff/stop-gradient.ts'
export { valueAndGradients, type ValueAndGradients } from './autodiff/value-and-gradients.ts'
export { type BackendAttempt, BackendError } from './backends/backend-error.ts'
export { type BackendName, type Device, type DeviceDescription, type UseBackendOptions } from './backends/device.ts'
export { useBackend } from './backends/use-backend.ts'
export { writeFileAtomic } from './checkpoint/files.ts'
export type { SafetensorsType } from './checkpoint/number-types.ts'
export { loadSafetensors, type SafetensorsSource, saveSafetensors } from './checkpoint/safetensors-io.ts'
export {
  decodeSafetensors,
  encodeSafetensors,
  type EncodeSafetensorsOptions,
  type Safetensors,
} from './checkpoint/safetensors.ts'
export { attendCached } from './kernels/attend/attend-cached.ts'
export { attend } from './kernels/attend/attend.ts'
export type { Attended, AttendOptions } from './kernels/attend/contract.ts'
export { mergeAttention } from './kernels/attend/merge-attention.ts'
export { groupNorm, type GroupNormSettings } from './kernels/group-norm/group-norm.ts'
export { packHalf, unpackHalf } from './kernels/half/half.ts'
export { layerNorm, type LayerNormSettings } from './kernels/layer-norm/layer-norm.ts'
export { lookup } from './kernels/lookup/lookup.ts'
export { meanSquaredError } from './kernels/mean-squared-error/mean-squared-error.ts'
export {
  type CodeMetric,
  type NearestCode,
  nearestCode,
  type NearestCodeOptions,
  type NearestCodes,
  nearestCodes,
} from './kernels/nearest-code/nearest-code.ts'
export { rmsNorm, type RmsNormSettings } from './kernels/rms-norm/rms-norm.ts'
export { rotary, rotaryFrequencies, type RotaryOptions, rotaryTables, type RotaryTables } from './kernels/rope/rope.ts'
export { segmentSum } from './kernels/segment-sum/segment-sum.ts'
export { logSoftmax, softmax } from './kernels/softmax/softmax.ts'
export {
  checkOptions,
  defineMethod,
  type Method,
  type MethodDescription,
  type OptionsSchema,
  type Paper,
} from './method/define-method.ts'
export { integer, integers, keyOption, numberBetween, numberFrom } from './method/options.ts'
export { BaseModule, isModule, type Module, requireSameEntries, variable } from './module/module.ts'
export {
  Activation,
  type ActivationFunction,
  elu,
  gelu,
  geluTanh,
  leakyRelu,
  type LeakyReluOptions,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from './nn/activations.ts'
export { BatchNorm, type BatchNormOptions } from './nn/batch-norm.ts'
export { ConvTranspose2d, type ConvTranspose2dOptions } from './nn/conv-transpose2d.ts'
export { Conv2d, type Conv2dOptions } from './nn/conv2d.ts'
export { Dropout } from './nn/dropout.ts'
export { Embedding, type EmbeddingOptions } from './nn/embedding.ts'
export { GroupNorm, type GroupNormOptions } from './nn/group-norm.ts'
export * as initialisers from './nn/initialisers.ts'
export type { Fan, Initialiser } from './nn/initialisers.ts'
export { type ForwardContext, type Layer } from './nn/layer.ts'
export { LayerNorm, type LayerNormOptions } from './nn/layer-norm.ts'
export { Linear, type LinearOptions } from './nn/linear.ts'
export { RmsNorm, type RmsNormOptions } from './nn/rms-norm.ts'
export { Sequential } from './nn/sequential.ts'
export { Upsample, type UpsampleOptions } from './nn/upsample.ts'
export { AdamW, type AdamWOptions } from './optim/adamw.ts'
export { clipByGlobalNorm, type ClippedGradients, globalNorm } from './optim/clip.ts'
export type { Optimizer } from './optim/optimizer.ts'
export * as schedules from './optim/schedules.ts'
export type { Schedule } from './optim/schedules.ts'
export { Sgd, type SgdOptions } from './optim/sgd.ts'
export { WeightEma, type WeightEmaOptions } from './optim/weight-ema.ts'
export { key, type IntegersOptions, type Key, type NormalOptions, type UniformOptions } from './random/key.ts'
export { type CheckpointStore, fileStore } from './train/checkpoint-store.ts'
export { NonFiniteError } from './train/non-finite-error.ts'
export type { ProgressEvent } from './train/progress.ts'
export {
  type CheckpointOptions,
  type LossAndMetrics,
  type StepContext,
  type StepReport,
  train,
  type TrainOptions,
  type TrainResult,
} from './train/train.ts'
export {
  canReadSync,
  describeShape,
  describeValue,
  requireFinite,
  requireInteger,
  requireLastDimension,
  requireShape,
  requireTensor,
} from './validation/validation.ts'
