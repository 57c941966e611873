import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: { index: 'src/index.ts' },
  format: ['esm'],
  dts: true,
  platform: 'neutral',
  // A module for each source file: a bundler then leaves out whole methods.
  unbundle: true,
  publint: false,
})
