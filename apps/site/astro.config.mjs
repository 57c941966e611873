import { unified } from '@astrojs/markdown-remark'
import starlight from '@astrojs/starlight'
import { defineConfig } from 'astro/config'
import rehypeKatex from 'rehype-katex'
import remarkMath from 'remark-math'
import linksValidator from 'starlight-links-validator'
import { families } from './src/families.ts'
import { focusableScrollers } from './src/markdown/focusable-scrollers.ts'
import { prefixLinks } from './src/markdown/prefix-links.ts'

const base = process.env.SITE_BASE ?? '/'

export default defineConfig({
  site: process.env.SITE_URL ?? 'http://localhost:4321',
  base,
  trailingSlash: 'always',
  // Two builds at a time, as in tests, must not share their data.
  cacheDir: process.env.SITE_CACHE ?? './node_modules/.astro',
  markdown: {
    processor: unified({
      remarkPlugins: [remarkMath],
      rehypePlugins: [rehypeKatex, focusableScrollers, [prefixLinks, { base }]],
    }),
  },
  // Only content loaders need these, and they run before anything is bundled.
  vite: { build: { rolldownOptions: { external: ['@x/attention', '@x/benchmarks/tasks', '@x/diffusion', '@x/vq'] } } },
  integrations: [
    starlight({
      title: '@x',
      description: 'Micro-packages for generative models on TensorFlow.js.',
      customCss: [
        '@fontsource-variable/ibm-plex-sans/wght.css',
        '@fontsource/ibm-plex-mono/latin-400.css',
        '@fontsource/ibm-plex-mono/latin-500.css',
        'katex/dist/katex.min.css',
        './src/theme/theme.css',
        './src/theme/content.css',
      ],
      components: {
        Head: './src/components/Head.astro',
        Hero: './src/components/Hero.astro',
        SocialIcons: './src/components/HeaderLinks.astro',
      },
      // Code that scrolls would be a region without a name to screen readers.
      expressiveCode: { defaultProps: { wrap: true } },
      lastUpdated: false,
      credits: false,
      pagination: false,
      // It knows the guide's pages only; tests/site.test.ts follows every link of the built site.
      plugins: [
        linksValidator({
          errorOnRelativeLinks: false,
          exclude: ['**/benchmarks/', '**/claims/', '**/cache-calculator/', '**/methods/**'],
        }),
      ],
      sidebar: [
        {
          label: 'Start',
          items: [
            'getting-started',
            'native-tensorflow',
            'coming-from-pytorch',
            'coming-from-diffusers',
            'image-models',
            'signal-codec',
            'loading-checkpoints',
          ],
        },
        ...families.map((family) => ({
          label: family.title,
          collapsed: true,
          items: family.kinds.map((kind) => ({
            label: kind.title,
            items: kind.methods.map((method) => ({ label: method.title, link: `/methods/${method.id}/` })),
          })),
        })),
        {
          label: 'Measured',
          items: [
            { label: 'Benchmarks', link: '/benchmarks/' },
            { label: 'Claims', link: '/claims/' },
            { label: 'Cache calculator', link: '/cache-calculator/' },
            'measurements',
            'operations',
          ],
        },
        { label: 'Contribute', items: ['add-a-method'] },
      ],
    }),
  ],
})
