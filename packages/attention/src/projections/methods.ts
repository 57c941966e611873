import type { MethodDescription } from '@x/core-gpu'
import { crossAttention } from './cross/cross.ts'
import { gla } from './gla/gla.ts'
import { gqa } from './gqa/gqa.ts'
import { gta } from './gta/gta.ts'
import { mfa } from './mfa/mfa.ts'
import { mha } from './mha/mha.ts'
import { mla } from './mla/mla.ts'
import { mqa } from './mqa/mqa.ts'
import { tpa } from './tpa/tpa.ts'

/** Every method of this package, as described, one a line; the dashboard and the docs show them in this order. */
// prettier-ignore
export const methods: readonly MethodDescription[] = [
  mha,
  mqa,
  gqa,
  mla,
  crossAttention,
  mfa,
  tpa,
  gta,
  gla,
]
