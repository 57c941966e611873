import { defineConfig } from 'tsdown'

export default defineConfig({
  // gradients.js is a file of its own: it alone has side effects.
  entry: {
    cli: 'src/setup/cli.ts',
    gradients: 'src/gradients.ts',
    index: 'src/index.ts',
    'layers/index': 'src/layers/index.ts',
    'testing/index': 'src/testing/index.ts',
  },
  format: ['esm'],
  dts: true,
  platform: 'neutral',
  deps: {
    // tfjs-core's gradients register themselves only through extension-less imports that plain Node refuses.
    alwaysBundle: [/register_all_gradients/],
    neverBundle: [/^node:/],
    onlyBundle: false,
  },
  publint: false,
})
