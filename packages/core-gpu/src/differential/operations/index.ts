import type { Operation } from '../operation.ts'
import { binaryOperations } from './binary.ts'
import { blockOperations } from './blocks.ts'
import { convolutionOperations } from './convolutions.ts'
import { indexingOperations } from './indexing.ts'
import { lossOperations } from './losses.ts'
import { normalisationOperations } from './normalisation.ts'
import { poolingOperations } from './pooling.ts'
import { productOperations } from './products.ts'
import { rearrangingOperations } from './rearranging.ts'
import { reductionOperations } from './reductions.ts'
import { resizingOperations } from './resizing.ts'
import { unaryOperations } from './unary.ts'

/** Every operation that training uses. */
export const operations: readonly Operation[] = [
  ...unaryOperations,
  ...binaryOperations,
  ...reductionOperations,
  ...productOperations,
  ...convolutionOperations,
  ...poolingOperations,
  ...resizingOperations,
  ...rearrangingOperations,
  ...blockOperations,
  ...indexingOperations,
  ...normalisationOperations,
  ...lossOperations,
]
