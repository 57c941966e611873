// tfjs-core differentiates nothing until its gradients are registered, and has them only behind this file.
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import * as tf from '@tensorflow/tfjs-core'
import { broadcastingGradients } from './gradients/broadcasting.ts'
import { flatGradients } from './gradients/flat.ts'
import { indexingGradients } from './gradients/indexing.ts'
import { productGradients } from './gradients/products.ts'
import { rearrangingGradients } from './gradients/rearranging.ts'
import { scanGradients } from './gradients/scans.ts'
import { registerActivationGradients } from './kernels/activation/gradients.ts'
import { registerDilatedGradients } from './kernels/conv2d/dilated-gradients.ts'
import { registerMeanSquaredErrorGradient } from './kernels/mean-squared-error/gradients.ts'
import { registerReductionGradients } from './kernels/reductions/gradients.ts'
import { registerSoftmaxGradients } from './kernels/softmax/gradients.ts'

const gradients = {
  ...broadcastingGradients,
  ...flatGradients,
  ...indexingGradients,
  ...productGradients,
  ...rearrangingGradients,
  ...scanGradients,
}
for (const [kernelName, gradient] of Object.entries(gradients)) tf.registerGradient({ kernelName, ...gradient })
registerActivationGradients()
registerDilatedGradients()
registerMeanSquaredErrorGradient()
registerReductionGradients()
registerSoftmaxGradients()
