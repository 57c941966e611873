import type { MethodDescription } from '@x/core-gpu'
import { methods as projections } from './projections/methods.ts'
import { blockSparse } from './sparse/block-sparse/block-sparse.ts'
import { dsa } from './sparse/dsa/dsa.ts'
import { nsa } from './sparse/nsa/nsa.ts'

/** Every method of this package, as described; the dashboard and the docs show them in this order. */
export const methods: readonly MethodDescription[] = [...projections, blockSparse, nsa, dsa]
