import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: { index: 'src/index.ts', 'layers/index': 'src/layers/index.ts', 'testing/index': 'src/testing/index.ts' },
  format: ['esm'],
  dts: true,
  platform: 'neutral',
  // A module for each source file: a bundler then leaves out whole methods, with the schemas that they build when loaded.
  unbundle: true,
  publint: false,
})
