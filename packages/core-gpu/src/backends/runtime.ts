// Node's own modules are reached through `process`, so that no bundler sees an import it cannot follow.
const builtin = globalThis.process?.getBuiltinModule

/** Whether this is Node, or something that behaves like it. */
export const isNode: boolean = typeof builtin === 'function' && typeof globalThis.process?.versions?.node === 'string'

/** `node 24.21.0`, or the browser's user agent. */
export function describeRuntime(): string {
  return isNode ? `node ${process.versions.node}` : (globalThis.navigator?.userAgent ?? 'unknown')
}

/** Loads a CommonJS package that only Node has; throws what the package throws. */
export function requirePackage(name: string, from?: string): unknown {
  return requirerFor(name, from)(name)
}

/** The path of a file inside a package, in Node. */
export function resolveFile(name: string, from?: string): string {
  return requirerFor(name, from).resolve(name)
}

/** Loads an ES module package that only Node has. */
export async function importPackage(name: string, from?: string): Promise<unknown> {
  const file = requirerFor(name, from).resolve(name)
  const { pathToFileURL } = process.getBuiltinModule('node:url')
  return import(/* @vite-ignore */ pathToFileURL(file).href)
}

/** The require function of the first place from which the package is found. */
function requirerFor(name: string, from: string | undefined): NodeJS.Require {
  if (!isNode) throw new Error(`the package ${name} works in Node only`)
  const { createRequire } = process.getBuiltinModule('node:module')
  const { join } = process.getBuiltinModule('node:path')
  const places =
    from === undefined ? [import.meta.url, join(process.cwd(), 'package.json')] : [join(from, 'package.json')]
  for (const place of places) {
    const require = createRequire(place)
    try {
      require.resolve(name)
      return require
    } catch {
      // The next place may have it.
    }
  }
  throw new Error(`the package ${name} is not installed`)
}
