import { describe } from 'vitest'
import { recordStockKernels } from './stock-kernels.ts'
import { publishing } from './test-operation.ts'

describe.skipIf(!publishing)('stock kernels on webgpu (only when the table of operations is made)', () => {
  recordStockKernels('webgpu', { runs: 3, tolerance: 5e-4 })
})
