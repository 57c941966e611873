export { ModuleLayer } from './module-layer.ts'
