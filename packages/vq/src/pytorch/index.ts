export { fromPyTorch, toPyTorch, type ToPyTorchOptions } from './pytorch.ts'
