export {
  conformance,
  type ConformanceCheck,
  type ConformanceExample,
  demand,
  expectRefusal,
  expectSame,
} from './conformance.ts'
export { checkGradients, type CheckGradientsOptions } from './finite-differences.ts'
export { expectGolden, goldenTensor, type GoldenTensor, goldenValues, type Tolerance } from './golden.ts'
export { countLeaks } from './leaks.ts'
