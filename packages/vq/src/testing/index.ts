export { quantizerConformance, type QuantizerExample } from './quantizer-conformance.ts'
