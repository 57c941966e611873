import * as tf from '@tensorflow/tfjs-core'
import { map } from '../nd.ts'
import { type Domain, float, type Operation, shapes, trials } from '../operation.ts'

type Unary = (x: tf.Tensor) => tf.Tensor

function unary(name: string, run: Unary, f: (x: number) => number, domain: Domain = [-2, 2]): Operation {
  return {
    name,
    kind: 'elementwise',
    trials: trials(shapes(0, 6), (shape, seed) => ({
      about: name,
      operands: [float(shape, seed, domain)],
      run: (x) => run(x!),
      reference: (x) => map(x!, f),
    })),
  }
}

/** Error function by its power series, which is exact enough for |x| < 4. */
function erf(x: number): number {
  let [term, sum] = [x, x]
  for (let n = 1; n < 100; n++) {
    term *= (-x * x) / n
    sum += term / (2 * n + 1)
  }
  return (2 / Math.sqrt(Math.PI)) * sum
}

/** To the nearest whole number, halves to the even one. */
function roundHalfToEven(x: number): number {
  const low = Math.floor(x)
  if (x - low !== 0.5) return Math.round(x)
  return low % 2 === 0 ? low : low + 1
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const [seluAlpha, seluScale] = [1.6732632423543772, 1.0507009873554805]
const elu = (x: number): number => (x < 0 ? Math.expm1(x) : x)
const oneIf = (condition: boolean): number => (condition ? 1 : 0)

/** Functions of one element. */
export const unaryOperations: Operation[] = [
  unary('abs', tf.abs, Math.abs),
  unary('acos', tf.acos, Math.acos, [-0.9, 0.9]),
  unary('acosh', tf.acosh, Math.acosh, [1.1, 4]),
  unary('asin', tf.asin, Math.asin, [-0.9, 0.9]),
  unary('asinh', tf.asinh, Math.asinh),
  unary('atan', tf.atan, Math.atan),
  unary('atanh', tf.atanh, Math.atanh, [-0.9, 0.9]),
  unary('ceil', tf.ceil, Math.ceil),
  unary(
    'clipByValue',
    (x) => tf.clipByValue(x, -0.5, 1),
    (x) => Math.min(1, Math.max(-0.5, x)),
  ),
  unary('cos', tf.cos, Math.cos),
  unary('cosh', tf.cosh, Math.cosh),
  unary('elu', tf.elu, elu),
  unary('erf', tf.erf, erf),
  unary('exp', tf.exp, Math.exp),
  unary('expm1', tf.expm1, Math.expm1),
  unary('floor', tf.floor, Math.floor),
  unary('isFinite', tf.isFinite, (x) => oneIf(Number.isFinite(x))),
  unary('isInf', tf.isInf, (x) => oneIf(Math.abs(x) === Infinity)),
  unary('isNaN', tf.isNaN, (x) => oneIf(Number.isNaN(x))),
  unary(
    'leakyRelu',
    (x) => tf.leakyRelu(x, 0.3),
    (x) => (x < 0 ? 0.3 * x : x),
  ),
  unary('log', tf.log, Math.log, [0.1, 4]),
  unary('log1p', tf.log1p, Math.log1p, [-0.8, 4]),
  unary('logSigmoid', tf.logSigmoid, (x) => Math.log(sigmoid(x)), [-6, 6]),
  unary('neg', tf.neg, (x) => -x),
  unary('onesLike', tf.onesLike, () => 1),
  unary('reciprocal', tf.reciprocal, (x) => 1 / x, [0.2, 3]),
  unary('relu', tf.relu, (x) => Math.max(0, x)),
  unary('relu6', tf.relu6, (x) => Math.min(6, Math.max(0, x)), [-3, 9]),
  unary('round', tf.round, roundHalfToEven, [-4, 4]),
  unary('rsqrt', tf.rsqrt, (x) => 1 / Math.sqrt(x), [0.1, 4]),
  unary('selu', tf.selu, (x) => seluScale * (x < 0 ? seluAlpha * Math.expm1(x) : x)),
  unary('sigmoid', tf.sigmoid, sigmoid, [-8, 8]),
  unary('sign', tf.sign, Math.sign),
  unary('sin', tf.sin, Math.sin),
  unary('sinh', tf.sinh, Math.sinh),
  unary('softplus', tf.softplus, (x) => Math.log1p(Math.exp(x)), [-8, 8]),
  unary('sqrt', tf.sqrt, Math.sqrt, [0.1, 4]),
  unary('square', tf.square, (x) => x * x),
  unary(
    'step',
    (x) => tf.step(x, 0.25),
    (x) => (x > 0 ? 1 : 0.25),
  ),
  unary('tan', tf.tan, Math.tan, [-1.2, 1.2]),
  unary('tanh', tf.tanh, Math.tanh, [-4, 4]),
  unary('zerosLike', tf.zerosLike, () => 0),
]
