import { join } from 'node:path'
import { type Compiler, nodeApi } from './prerequisites.ts'
import { lastLines, type Run } from './run.ts'
import { SetupError } from './setup-error.ts'
import { libraryFiles } from './tensorflow-library.ts'

/** What goes into the binding, and where it goes. */
export interface BindingParts {
  /** folder of the package tfjs-node */
  readonly tfjsNode: string
  /** source of our own operations */
  readonly kernels: string
  /** folder of the package node-api-headers */
  readonly headers: string
  /** folder of TensorFlow's libraries, with `include` */
  readonly tensorflow: string
  /** where the libraries are when the binding is loaded: absolute, or seen from the binding */
  readonly libraryPath: { readonly absolute: string } | { readonly besideBinding: string }
  readonly output: string
  readonly platform: string
}

/** The compiler's arguments. */
export function compilerArguments(parts: BindingParts): string[] {
  const { tfjsNode, kernels, headers, tensorflow, libraryPath, output, platform } = parts
  const here = platform === 'darwin' ? '@loader_path' : '$ORIGIN'
  const rpath = 'absolute' in libraryPath ? libraryPath.absolute : `${here}/${libraryPath.besideBinding}`
  return [
    '-std=c++17',
    '-O3',
    '-fPIC',
    // Roots and comparisons of our own operations then run in vectors.
    '-fno-math-errno',
    '-fno-trapping-math',
    '-pthread',
    `-DNAPI_VERSION=${nodeApi}`,
    // Node's functions are found when Node loads the binding.
    ...(platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared']),
    ...[join(headers, 'include'), join(tensorflow, 'include'), tfjsNode].flatMap((folder) => ['-I', folder]),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(tfjsNode, 'binding', file)),
    kernels,
    ...libraryFiles(platform).map((file) => join(tensorflow, file)),
    `-Wl,-rpath,${rpath}`,
    '-o',
    output,
  ]
}

/** @throws SetupError with what the compiler said */
export async function compileBinding(run: Run, compiler: Compiler, parts: BindingParts): Promise<void> {
  const ran = await run(compiler.command, compilerArguments(parts))
  if (ran.code !== 0)
    throw new SetupError(
      `${compiler.command} could not compile the binding:\n${lastLines(ran)}`,
      'check that the compiler knows C++17 and has its standard library (Debian, Ubuntu: apt-get install g++)',
    )
}
