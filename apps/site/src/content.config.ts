import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { parseFrontmatter } from '@astrojs/markdown-remark'
import { docsLoader } from '@astrojs/starlight/loaders'
import { docsSchema } from '@astrojs/starlight/schema'
import { readClaims, readResults, reproduceCommand } from '@x/benchmarks/results'
import type { ClaimsFile, Result } from '@x/benchmarks/result'
import { defineCollection } from 'astro:content'
import type { Loader } from 'astro/loaders'
import { z } from 'astro/zod'
import type { Drawn } from './charts/draw.ts'
import type { Method } from './families.ts'
import { picturesOf, type Picture } from './measurements/pictures.ts'
import type { TaskDescription } from './measurements/rows.ts'

// Tasks and methods bring TensorFlow.js along: they are imported when their loader runs, so that pages never hold them.

/** A method with what is drawn on its page. */
export type DescribedMethod = Method & { readonly figures: readonly Drawn[] }

/** One page for each method: its description from the package, its text from the file in the method's folder. */
const methodPages: Loader = {
  name: 'methods',
  async load({ store, parseData, renderMarkdown, watcher }) {
    const { methods } = await import('./families.ts')
    const { figuresOf } = await import('./figures/figures.ts')
    async function load(): Promise<void> {
      store.clear()
      for (const method of methods) {
        const { content } = parseFrontmatter(readFileSync(method.file, 'utf8'))
        const rendered = await renderMarkdown(content, { fileURL: pathToFileURL(method.file) })
        const figures = await figuresOf(method)
        store.set({
          id: method.id,
          data: await parseData({ id: method.id, data: { ...method, figures } }),
          body: content,
          rendered,
        })
      }
    }
    await load()
    watcher?.add(methods.map((method) => method.file))
    watcher?.on('change', (path) => (methods.some((method) => method.file === path) ? load() : undefined))
  },
}

export const collections = {
  docs: defineCollection({ loader: docsLoader(), schema: docsSchema() }),
  methods: defineCollection({ loader: methodPages, schema: z.custom<DescribedMethod>() }),
  tasks: defineCollection({
    loader: async () => {
      const { tasks } = await import('@x/benchmarks/tasks')
      return tasks.map(({ id, family, title, summary, methods, backends, covers, metrics, seeds }, order) => {
        const all = Object.entries(methods).flatMap(([method, variants]) =>
          variants.flatMap((params) => backends.map((backend) => ({ method, params, backend }))),
        )
        const leftOut = covers ? all.filter((run) => !covers(run)) : []
        return { id, task: { id, family, title, summary, methods, backends, metrics, seeds, order, leftOut } }
      })
    },
    schema: z.object({ task: z.custom<TaskDescription>() }),
  }),
  results: defineCollection({
    loader: async () =>
      (await readResults()).map((stored) => ({
        id: stored.result.key,
        result: stored.result,
        reproduce: reproduceCommand(stored.result),
        pictures: picturesOf(stored),
      })),
    schema: z.object({ result: z.custom<Result>(), reproduce: z.string(), pictures: z.custom<readonly Picture[]>() }),
  }),
  claims: defineCollection({
    loader: async () => (await readClaims()).map((claims) => ({ id: claims.machineId, claims })),
    schema: z.object({ claims: z.custom<ClaimsFile>() }),
  }),
}
