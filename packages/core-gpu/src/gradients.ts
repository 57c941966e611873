// tfjs-core differentiates nothing until its gradients are registered, and has them only behind this file.
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import { registerActivationGradients } from './kernels/activation/gradients.ts'
import { registerDilatedGradients } from './kernels/conv2d/dilated-gradients.ts'
import { registerReductionGradients } from './kernels/reductions/gradients.ts'
import { registerSoftmaxGradients } from './kernels/softmax/gradients.ts'

registerActivationGradients()
registerDilatedGradients()
registerReductionGradients()
registerSoftmaxGradients()
