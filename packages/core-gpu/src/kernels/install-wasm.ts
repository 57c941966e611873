import * as tf from '@tensorflow/tfjs-core'
import type { KernelSet } from '../backends/device.ts'
import { activationGradientWasm, activationWasm, type ElementFunction } from './activation/wasm.ts'
import type { AdamWOptions } from './adamw/adamw.ts'
import { adamwWasm } from './adamw/wasm.ts'
import type { AttendGradientInputs } from './attend/attend.ts'
import type { AttendAttributes, AttendInputs } from './attend/contract.ts'
import { attendCachedWasm, attendGradientWasm, attendWasm } from './attend/wasm.ts'
import {
  dilatedDepthwiseFilterGradient,
  dilatedDepthwiseInputGradient,
  dilatedFilterGradient,
  dilatedInputGradient,
} from './conv2d/dilated-gradients.ts'
import { type ConvAttributes, convGeometry } from './conv2d/geometry.ts'
import { conv2dWasm, filterGradientWasm, inputGradientWasm } from './conv2d/wasm.ts'
import { correctCalls, correctKernels } from './corrections.ts'
import { depthwiseFilterGradientWasm, depthwiseInputGradientWasm, depthwiseWasm } from './depthwise-gradients/wasm.ts'
import { fillEmptyReductions } from './empty-reductions/empty-reductions.ts'
import { identityWasm } from './identity/wasm.ts'
import { gatherRowsWasm } from './lookup/wasm.ts'
import { type Epilogue, gemmActivations } from './matmul/gemm.ts'
import { matMulWasm } from './matmul/wasm.ts'
import { installMissingKernels } from './missing-kernels.ts'
import type { CodeMetric } from './nearest-code/nearest-code.ts'
import { nearestCodesWasm, nearestCodeWasm } from './nearest-code/wasm.ts'
import { groupNormGradientWasm, groupNormWasm, normGradientWasm, normWasm } from './norm-wasm.ts'
import { type Build, closePacks, type Pack, packFor } from './pack.ts'
import { avgPoolGrad, maxPoolGradCpu } from './pool-gradients/pool-gradients.ts'
import { axesOf, type Reduction, reductionOf } from './reductions/reduction.ts'
import { spreadWasm, sumWasm } from './reductions/wasm.ts'
import { replaceKernel, restoreKernels, stockKernel } from './registry.ts'
import { resizeBilinearGradCpu, resizeNearestNeighborGradCpu } from './resize-gradients/cpu.ts'
import type { RotaryAttributes } from './rope/rope.ts'
import { rotaryWasm } from './rope/wasm.ts'
import { segmentSumCpu } from './segment-sum/cpu.ts'
import { segmentSumWasm } from './segment-sum/wasm.ts'
import { softmaxGradientWasm, softmaxWasm } from './softmax/wasm.ts'

type Inputs = Record<string, tf.Tensor>
/** Null leaves the case to the stock kernel. */
type PackKernel = (
  pack: Pack,
  inputs: Inputs,
  attributes: Record<string, unknown>,
) => tf.TensorInfo | tf.TensorInfo[] | null

const packKernels: Record<string, PackKernel> = {
  [tf.BatchMatMul]: (pack, { a, b }, { transposeA, transposeB }) =>
    matMulWasm(pack, a!, b!, transposeA === true, transposeB === true),

  [tf._FusedMatMul]: (pack, { a, b, bias }, attributes) =>
    matMulWasm(
      pack,
      a!,
      b!,
      attributes['transposeA'] === true,
      attributes['transposeB'] === true,
      epilogue(pack, bias, attributes),
    ),

  [tf.Conv2D]: (pack, { x, filter }, attributes) =>
    conv2dWasm(pack, x!, filter!, convGeometry(x!.shape, filter!.shape, conv(attributes))),

  [tf.FusedConv2D]: (pack, { x, filter, bias }, attributes) => {
    const info = convGeometry(x!.shape, filter!.shape, conv(attributes))
    return conv2dWasm(pack, x!, filter!, info, epilogue(pack, bias, attributes))
  },

  [tf.Conv2DBackpropFilter]: filterGradient,
  [dilatedFilterGradient]: filterGradient,
  [tf.Conv2DBackpropInput]: inputGradient,
  [dilatedInputGradient]: inputGradient,

  [tf.DepthwiseConv2dNative]: (pack, { x, filter }, attributes) =>
    depthwiseWasm(pack, x!, filter!, convGeometry(x!.shape, filter!.shape, conv(attributes), true)),

  [tf.DepthwiseConv2dNativeBackpropFilter]: depthwiseFilterGradient,
  [dilatedDepthwiseFilterGradient]: depthwiseFilterGradient,
  [tf.DepthwiseConv2dNativeBackpropInput]: depthwiseInputGradient,
  [dilatedDepthwiseInputGradient]: depthwiseInputGradient,

  [tf.UnsortedSegmentSum]: (pack, { x, segmentIds }, attributes) =>
    x!.dtype === 'float32'
      ? segmentSumWasm(pack, x!, segmentIds!, attributes['numSegments'] as number)
      : segmentSumCpu({ x: x!, segmentIds: segmentIds! }, attributes, pack.backend),

  [tf.Softmax]: (pack, { logits }) => softmaxWasm(pack, 'softmaxRows', logits!),
  [tf.LogSoftmax]: (pack, { logits }) => softmaxWasm(pack, 'logSoftmaxRows', logits!),
  XSoftmaxGradient: (pack, { y, dy }) => softmaxGradientWasm(pack, 'softmaxGradientRows', y!, dy!),
  XLogSoftmaxGradient: (pack, { y, dy }) => softmaxGradientWasm(pack, 'logSoftmaxGradientRows', y!, dy!),

  [tf.Exp]: (pack, { x }) => activationWasm(pack, 'exp', x!),
  [tf.Sigmoid]: (pack, { x }) => activationWasm(pack, 'sigmoid', x!),
  [tf.Tanh]: (pack, { x }) => activationWasm(pack, 'tanh', x!),
  XActivation: (pack, { x }, { name }) => activationWasm(pack, name as ElementFunction, x!),
  XActivationGradient: (pack, { x, dy }, { name }) => activationGradientWasm(pack, name as ElementFunction, x!, dy!),

  [tf.Sum]: (pack, { x }, attributes) => reduce(pack, x!, attributes, () => 1),
  [tf.Mean]: (pack, { x }, attributes) => reduce(pack, x!, attributes, ([, count]) => 1 / count),

  XSpread: (pack, { dy }, { shape, reduction, factor }) =>
    spreadWasm(pack, dy!, shape as number[], reduction as unknown as Reduction, factor as number),

  XLayerNorm: (pack, inputs, { epsilon }) => normWasm(pack, inputs, epsilon as number, true),
  XRmsNorm: (pack, inputs, { epsilon }) => normWasm(pack, inputs, epsilon as number, false),
  XGroupNorm: (pack, inputs, { groups, epsilon }) => groupNormWasm(pack, inputs, groups as number, epsilon as number),
  XLayerNormGradient: (pack, { inverseDeviation, ...inputs }, { affine }) =>
    normGradientWasm(pack, { ...inputs, inverse: inverseDeviation! }, affine === true, true),
  XRmsNormGradient: (pack, { inverseRms, ...inputs }, { affine }) =>
    normGradientWasm(pack, { ...inputs, inverse: inverseRms! }, affine === true, false),
  XGroupNormGradient: (pack, { inverseDeviation, ...inputs }, { groups, affine }) =>
    groupNormGradientWasm(pack, { ...inputs, inverse: inverseDeviation! }, groups as number, affine === true),

  XAdamW: (pack, { parameter, gradient, firstMoment, secondMoment }, attributes) =>
    adamwWasm(
      pack,
      { parameter: parameter!, gradient: gradient!, firstMoment: firstMoment!, secondMoment: secondMoment! },
      attributes as unknown as AdamWOptions,
    ),
  XAttend: (pack, inputs, attributes) =>
    attendWasm(pack, inputs as unknown as AttendInputs, attributes as unknown as AttendAttributes),
  XAttendCached: (pack, inputs, attributes) =>
    attendCachedWasm(pack, inputs as unknown as AttendInputs, attributes as unknown as AttendAttributes),
  XAttendGradient: (pack, inputs, attributes) =>
    attendGradientWasm(pack, inputs as unknown as AttendGradientInputs, attributes as unknown as AttendAttributes),
  XGatherRows: (pack, { table, ids }, { fill }) => gatherRowsWasm(pack, table!, ids!, fill as number),
  XNearestCode: (pack, { x, codebook }, { metric }) => nearestCodeWasm(pack, x!, codebook!, metric as CodeMetric),
  XNearestCodes: (pack, { x, codebook }, { count, metric }) =>
    nearestCodesWasm(pack, x!, codebook!, count as number, metric as CodeMetric),
  XRotary: (pack, { x, cos, sin }, attributes) =>
    rotaryWasm(pack, x!, { cos: cos!, sin: sin! }, attributes as unknown as RotaryAttributes),
}

// What stays with the stock kernel: element types and activations that the pack does not have.
const declined: Record<string, (inputs: Inputs, attributes: Record<string, unknown>) => boolean> = {
  [tf.BatchMatMul]: notFloats('a', 'b'),
  [tf._FusedMatMul]: (inputs, attributes) =>
    notFloats('a', 'b')(inputs) ||
    strangeEpilogue(inputs, attributes, inputs['b']!.shape.at(attributes['transposeB'] === true ? -2 : -1)!),
  [tf.Conv2D]: (_, { dataFormat }) => dataFormat === 'NCHW',
  [tf.FusedConv2D]: (inputs, attributes) =>
    attributes['dataFormat'] === 'NCHW' || strangeEpilogue(inputs, attributes, inputs['filter']!.shape[3]!),
  [tf.Conv2DBackpropInput]: (_, { dataFormat }) => dataFormat === 'NCHW',
  [tf.DepthwiseConv2dNative]: (_, { dataFormat }) => dataFormat === 'NCHW',
  [tf.Exp]: notFloats('x'),
  [tf.Mean]: notFloats('x'),
  [tf.Sigmoid]: notFloats('x'),
  [tf.Sum]: notFloats('x'),
  [tf.Tanh]: notFloats('x'),
}

function notFloats(...names: string[]): (inputs: Inputs) => boolean {
  return (inputs) => names.some((name) => inputs[name]!.dtype !== 'float32')
}

function strangeEpilogue({ bias }: Inputs, { activation }: Record<string, unknown>, channels: number): boolean {
  if (!((activation as string) in gemmActivations)) return true
  return bias !== undefined && bias !== null && (bias.shape.length !== 1 || bias.shape[0] !== channels)
}

function epilogue(pack: Pack, bias: tf.Tensor | undefined, attributes: Record<string, unknown>): Epilogue {
  return {
    bias: bias ? pack.address(bias) : 0,
    activation: gemmActivations[attributes['activation'] as string]!,
    slope: (attributes['leakyreluAlpha'] as number | undefined) ?? 0,
  }
}

function filterGradient(pack: Pack, { x, dy }: Inputs, attributes: Record<string, unknown>): tf.TensorInfo {
  return filterGradientWasm(
    pack,
    x!,
    dy!,
    convGeometry(x!.shape, attributes['filterShape'] as number[], conv(attributes)),
  )
}

function inputGradient(pack: Pack, { dy, filter }: Inputs, attributes: Record<string, unknown>): tf.TensorInfo {
  const info = convGeometry(attributes['inputShape'] as number[], filter!.shape, conv(attributes))
  return inputGradientWasm(pack, dy!, filter!, info)
}

function depthwiseFilterGradient(pack: Pack, { x, dy }: Inputs, attributes: Record<string, unknown>): tf.TensorInfo {
  const info = convGeometry(x!.shape, attributes['filterShape'] as number[], conv(attributes), true)
  return depthwiseFilterGradientWasm(pack, x!, dy!, info)
}

function depthwiseInputGradient(
  pack: Pack,
  { dy, filter }: Inputs,
  attributes: Record<string, unknown>,
): tf.TensorInfo {
  const info = convGeometry(attributes['inputShape'] as number[], filter!.shape, conv(attributes), true)
  return depthwiseInputGradientWasm(pack, dy!, filter!, info)
}

function reduce(
  pack: Pack,
  x: tf.Tensor,
  attributes: Record<string, unknown>,
  factor: (reduction: Reduction) => number,
): tf.TensorInfo | null {
  const axes = axesOf(x.shape, attributes['axis'])
  const reduction = reductionOf(x.shape, axes)
  if (reduction === null) return null
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  const shape = attributes['keepDims'] === true ? kept : kept.filter((_, axis) => !axes.includes(axis))
  return sumWasm(pack, x, shape, reduction, factor(reduction))
}

/** Registers the kernels of the wasm backend: own ones, as far as there is a build of the pack, and plain ones for what is missing. */
export function installWasmKernels(kernels: KernelSet, build: Build | null): void {
  restoreKernels('wasm')
  // Also beside stock kernels: to tfjs's own leak check, what their copying Identity saves for a gradient is a leak.
  replaceKernel('wasm', tf.Identity, identityWasm, closePacks)
  if (kernels === 'own') {
    correctKernels('wasm')
    replaceKernel('wasm', tf.AvgPoolGrad, avgPoolGrad('wasm'))
    replaceKernel('wasm', tf.MaxPoolGrad, maxPoolGradCpu)
    replaceKernel('wasm', tf.ResizeBilinearGrad, resizeBilinearGradCpu)
    replaceKernel('wasm', tf.ResizeNearestNeighborGrad, resizeNearestNeighborGradCpu)
  }
  if (build !== null) {
    for (const [kernelName, kernel] of Object.entries(packKernels)) installPackKernel(kernelName, kernel, build)
  }
  installMissingKernels('wasm')
  if (kernels === 'own') correctCalls('wasm')
  // Beside stock kernels as well, whose sums of nothing are what the memory held.
  else fillEmptyReductions('wasm')
}

function installPackKernel(kernelName: string, kernel: PackKernel, build: Build): void {
  const decline = declined[kernelName]
  const stock = decline && stockKernel('wasm', kernelName)
  replaceKernel('wasm', kernelName, (inputs, attributes, backend) => {
    const own = decline?.(inputs, attributes) ? null : kernel(packFor(backend, build), inputs, attributes)
    return own ?? stock!.kernelFunc({ inputs, attrs: attributes as tf.NamedAttrMap, backend })
  })
}

function conv(attributes: Record<string, unknown>): ConvAttributes {
  return attributes as unknown as ConvAttributes
}
