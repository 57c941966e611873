import { describe } from 'vitest'
import { recordStockKernels } from './stock-kernels.ts'
import { publishing } from './test-operation.ts'

describe.skipIf(!publishing)('stock kernels (only when the table of operations is made)', () => {
  recordStockKernels('cpu')
  recordStockKernels('wasm')
  recordStockKernels('tensorflow')
})
