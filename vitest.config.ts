import { existsSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname } from 'node:path'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'

// Tests run on the sources, so none needs a build.
const conditions = ['@x/source', 'node', 'import', 'module', 'default']
const resolve = { conditions }
const ssr = { resolve: { conditions, externalConditions: ['node'] } }

// Debian's Chromium brings a software Vulkan driver, enough to prove WebGPU code right.
const driver = process.env.VK_DRIVER_FILES ?? '/usr/lib/chromium/vk_swiftshader_icd.json'
if (!existsSync(driver))
  console.warn(
    `webgpu tests will be skipped: no Vulkan driver at ${driver} (apt-get install chromium, or set VK_DRIVER_FILES)`,
  )

const chromium = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const hasChromium = existsSync(chromium)
if (!hasChromium)
  console.warn(`browser tests will be skipped: no Chromium at ${chromium} (apt-get install chromium, or CHROMIUM_PATH)`)

const softwareGraphics = [
  '--enable-unsafe-webgpu',
  '--enable-features=Vulkan',
  '--use-webgpu-adapter=swiftshader',
  '--use-gl=angle',
  '--use-angle=swiftshader',
]

const shared = { setupFiles: ['tests/setup.ts'], testTimeout: 60_000, hookTimeout: 60_000 }

const browser = {
  resolve: { conditions: ['@x/source', 'browser', 'import', 'module', 'default'] },
  test: {
    ...shared,
    name: 'browser',
    include: ['packages/*/src/**/*.browser.test.ts'],
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      instances: [{ browser: 'chromium' as const }],
      provider: playwright({
        launchOptions: { executablePath: chromium, args: ['--no-sandbox', ...softwareGraphics] },
      }),
    },
  },
}

export default defineConfig({
  test: {
    // By itself vitest leaves one core idle.
    maxWorkers: availableParallelism(),
    projects: [
      {
        resolve,
        ssr,
        test: {
          ...shared,
          name: 'node',
          include: ['packages/*/src/**/*.test.ts', 'benchmarks/src/**/*.test.ts'],
          exclude: ['**/*.{browser,webgpu}.test.ts', '**/node_modules/**'],
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...shared,
          name: 'webgpu',
          include: ['packages/*/src/**/*.webgpu.test.ts', 'benchmarks/src/**/*.webgpu.test.ts'],
          // The Vulkan loader reads the environment before any script runs: a forked process has it in time.
          pool: 'forks',
          // Compiling programs takes a software adapter most of the time: what one file has compiled serves the next.
          isolate: false,
          env: { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: dirname(driver), XDG_RUNTIME_DIR: tmpdir() },
        },
      },
      ...(hasChromium ? [browser] : []),
      {
        resolve,
        ssr,
        test: {
          ...shared,
          name: 'project',
          include: ['tests/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
})
