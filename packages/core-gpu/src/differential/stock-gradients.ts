// Before anything else: what tfjs registers by itself.
import '@tensorflow/tfjs-core/dist/register_all_gradients.js'
import * as tf from '@tensorflow/tfjs-core'

const kernelNames = Object.values<unknown>(tf).filter((value) => typeof value === 'string')
const stock = new Map(kernelNames.map((name) => [name, tf.getGradient(name)]))

/** Takes every gradient back to what tfjs registers. */
export function restoreStockGradients(): void {
  for (const [kernelName, gradient] of stock) {
    if (gradient) tf.registerGradient(gradient)
    else if (tf.getGradient(kernelName)) tf.unregisterGradient(kernelName)
  }
}
