import * as tf from '@tensorflow/tfjs-core'

// Silences the advice to install tfjs-node, which the cpu backend prints at its first write.
tf.env().set('IS_TEST', true)
