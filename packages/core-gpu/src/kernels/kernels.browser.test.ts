import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { adamwCases } from './adamw/webgpu.cases.ts'
import { mainAttentionCases } from './attend/webgpu.cases.ts'
import { halfCases } from './half/half.cases.ts'
import { lookupCases } from './lookup/webgpu.cases.ts'
import { nearestCodeCases } from './nearest-code/webgpu.cases.ts'
import { rotaryCases } from './rope/rope.cases.ts'
import { segmentSumCases } from './segment-sum/webgpu.cases.ts'
import { normCases } from './webgpu-norm.cases.ts'
import { programCases } from './webgpu-program.cases.ts'

const device = await useBackend('webgpu')

describe(`kernels on webgpu in a browser, ${device.describe().adapter}`, () => {
  beforeAll(() => useBackend('webgpu'))

  it('run in a browser, on the adapter that the device names', () => {
    expect(device.describe()).toMatchObject({ backend: 'webgpu', runtime: expect.stringContaining('Chrome/') })
    expect(tf.getBackend()).toBe('webgpu')
  })

  describe('programs', programCases)
  describe('nearest code', nearestCodeCases)
  describe('lookup', lookupCases)
  describe('segment sum', segmentSumCases)
  describe('AdamW', adamwCases)
  describe('attention', mainAttentionCases)
  describe('half precision', halfCases)
  describe('norms', normCases)
  describe('rotary', rotaryCases)
})
