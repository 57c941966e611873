import { defineConfig } from 'tsdown'

export default defineConfig({
  entry: { index: 'src/index.ts', 'testing/index': 'src/testing/index.ts' },
  format: ['esm'],
  dts: true,
  platform: 'neutral',
  // tfjs-core's gradient registry is reachable only through extension-less imports that plain Node refuses: bundle it.
  noExternal: [/register_all_gradients/],
  publint: false,
})
