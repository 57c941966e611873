import { isModule, type Layer } from '@x/core-gpu'
import { ChannelsFirst } from '../adapters/channels-first.ts'
import { Projected } from '../adapters/projected.ts'
import { CodebookQuantizer, type Quantizer } from '../quantizer.ts'
import { ScalarQuantizer } from '../scalar/scalar-quantizer.ts'
import { GroupedQuantizer } from '../structures/grouped.ts'
import { SharedHeads } from '../structures/multi-head.ts'
import { ResidualQuantizer } from '../structures/residual.ts'
import { ScaledQuantizer } from '../structures/scaled.ts'
import { codebookEntries, type Head } from './codebook-entries.ts'
import { type Entry, plainEntry, unknownPart } from './entry.ts'

/**
 * All entries of a quantizer, found by the parts it is made of.
 * @param own what the names of its own state begin with
 * @param there what PyTorch's names begin with
 */
export function entriesOf(quantizer: Quantizer, own: string = '', there: string = ''): Entry[] {
  if (quantizer instanceof ChannelsFirst) return entriesOf(quantizer.quantizer, `${own}quantizer.`, there)
  if (quantizer instanceof Projected)
    return [
      ...layerEntries(quantizer.projectIn, `${own}projectIn.`, `${there}project_in.`),
      ...layerEntries(quantizer.projectOut, `${own}projectOut.`, `${there}project_out.`),
      ...entriesOf(quantizer.quantizer, `${own}quantizer.`, there),
    ]
  if (quantizer instanceof SharedHeads) return entriesOf(quantizer.head, `${own}head.`, there)
  if (quantizer instanceof GroupedQuantizer) return groupEntries(quantizer, own, there)
  if (quantizer instanceof ResidualQuantizer) return residualEntries(quantizer, own, there)
  if (quantizer instanceof ScaledQuantizer) return entriesOf(quantizer.inner, `${own}inner.`, there)
  if (quantizer instanceof CodebookQuantizer) return codebookEntries([{ quantizer, own }], there)
  if (quantizer instanceof ScalarQuantizer) return scalarEntries(quantizer, own, there)
  throw unknownPart(own)
}

/** A layer's tensors are called as PyTorch calls them. */
function layerEntries(layer: Layer, own: string, there: string): Entry[] {
  return Object.entries(layer.state()).map(([name, tensor]) => plainEntry(there + name, own + name, tensor))
}

/** Groups of plain codebooks are heads in PyTorch, and their codebooks one tensor; of anything else they are parts. */
function groupEntries({ groups }: GroupedQuantizer, own: string, there: string): Entry[] {
  const heads = groups.flatMap((quantizer, g): Head[] =>
    quantizer instanceof CodebookQuantizer ? [{ quantizer, own: `${own}groups.${g}.` }] : [],
  )
  if (heads.length === groups.length) return codebookEntries(heads, there)
  return groups.flatMap((group, g) => entriesOf(group, `${own}groups.${g}.`, `${there}rvqs.${g}.`))
}

/** A layer in several places is in PyTorch's state several times. */
function residualEntries({ passes, layers }: ResidualQuantizer, own: string, there: string): Entry[] {
  return passes.flatMap((layer, l) => {
    const at = `${there}layers.${l}.`
    const entries = entriesOf(layer, `${own}layers.${layers.indexOf(layer)}.`, at)
    const first = passes.indexOf(layer)
    if (first === l) return entries
    const firstName = (name: string): string => `${there}layers.${first}.${name.slice(at.length)}`
    return entries.map(({ name, write }) => ({
      name,
      write,
      optional: true,
      sameAs: firstName(name),
      read: () => ({}),
    }))
  })
}

function scalarEntries({ grid, normaliser, rotation }: ScalarQuantizer, own: string, there: string): Entry[] {
  if (normaliser) throw unknownPart(`${own}normaliser.`)
  // Grids with values of their own, and those of signs, are other classes in PyTorch.
  if (isModule(grid) || grid.first === 'most') throw unknownPart(`${own}grid.`)
  return rotation ? [plainEntry(`${there}orthogonal_rot`, `${own}rotation.matrix`, rotation.matrix)] : []
}
