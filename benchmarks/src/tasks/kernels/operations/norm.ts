import { GroupNorm, LayerNorm, RmsNorm } from '@x/core-gpu'
import { differentiate, type Operation } from '../operations.ts'

/** The three norms with their learned scale and shift; forms are `<kind>-<forward or training>`. */
export const norm: Operation = (form, size, draw) => {
  const { rows = 1, columns = 1, batch = 1, channels = 1, groups = 1 } = size
  const grouped = form.startsWith('group')
  const x = grouped ? draw(batch, size.size ?? 1, size.size ?? 1, channels) : draw(rows, columns)
  const layer = grouped
    ? new GroupNorm(groups, channels)
    : form.startsWith('layer')
      ? new LayerNorm(columns)
      : new RmsNorm(columns)
  if (form.endsWith('forward')) return () => layer.forward(x)
  const inputs = [x, ...Object.values(layer.parameters())]
  return differentiate(([input]) => layer.forward(input!), inputs, x.shape, draw)
}
