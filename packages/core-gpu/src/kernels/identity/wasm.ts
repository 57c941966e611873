import type { Kernel } from '../registry.ts'

/** Identity as one more reference to the same elements; tfjs's own copies them, at every save for a gradient. */
export const identityWasm: Kernel = ({ x }, _attributes, backend) => {
  const { dataId, shape, dtype } = x!
  backend.incRef(dataId)
  return { dataId, shape, dtype }
}
