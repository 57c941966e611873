import { existsSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname } from 'node:path'
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

const shared = { setupFiles: ['tests/setup.ts'], testTimeout: 60_000, hookTimeout: 60_000 }

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
          exclude: ['**/*.webgpu.test.ts', '**/node_modules/**'],
        },
      },
      {
        resolve,
        ssr,
        test: {
          ...shared,
          name: 'webgpu',
          include: ['packages/*/src/**/*.webgpu.test.ts'],
          // The Vulkan loader reads the environment before any script runs: a forked process has it in time.
          pool: 'forks',
          env: { VK_DRIVER_FILES: driver, LD_LIBRARY_PATH: dirname(driver), XDG_RUNTIME_DIR: tmpdir() },
        },
      },
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
