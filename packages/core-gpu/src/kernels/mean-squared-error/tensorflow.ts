import type { Kernel } from '../registry.ts'
import type { TensorFlowBackend } from '../tensorflow-backend.ts'

/** XMeanSquaredError: one pass, 2 reads of 4 bytes per element. */
export const meanSquaredErrorTensorFlow: Kernel = ({ a, b }, _, backend) =>
  (backend as TensorFlowBackend).executeSingleOutput('XMeanSquaredError', [], [a!, b!])

/** XMeanSquaredErrorGradient: one pass, 2 reads and 1 write of 4 bytes per element. */
export const meanSquaredErrorGradientTensorFlow: Kernel = ({ a, b, dy }, _, backend) =>
  (backend as TensorFlowBackend).executeSingleOutput('XMeanSquaredErrorGradient', [], [a!, b!, dy!])
