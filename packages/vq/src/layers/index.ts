export { quantizerLayer, QuantizerLayer, type QuantizerLayerOptions } from './quantizer-layer.ts'
