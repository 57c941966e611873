import { lastLines, type Run } from './run.ts'
import { SetupError } from './setup-error.ts'

/** The version of Node-API that the binding is compiled for; its functions are the same in every later Node. */
export const nodeApi = 8

/** Where the setup runs; a test says otherwise. */
export interface Host {
  readonly platform: string
  readonly arch: string
  readonly node: string
  readonly nodeApi: number
}

export const thisHost: Host = {
  platform: process.platform,
  arch: process.arch,
  node: process.versions.node,
  nodeApi: Number(process.versions.napi),
}

/** A Python that can be run. */
export interface Python {
  readonly command: string
  readonly version: string
}

/** A C++ compiler, with what it says of itself. */
export interface Compiler {
  readonly command: string
  readonly description: string
}

/** @throws SetupError where TensorFlow has no library or Node is too old */
export function requireHost({ platform, node, nodeApi: available }: Host): void {
  if (platform !== 'linux' && platform !== 'darwin')
    throw new SetupError(
      `this works on Linux and macOS, and here is ${platform}`,
      'use npm install @tensorflow/tfjs-node, or the wasm backend',
    )
  if (!(Number(node.split('.')[0]) >= 20) || available < nodeApi)
    throw new SetupError(`Node ${node} is too old`, 'use Node 22 or newer')
}

/**
 * Finds Python 3.9 or newer.
 * @param wanted the one to take; default: what is on the path
 * @throws SetupError where there is none
 */
export async function findPython(run: Run, wanted?: string): Promise<Python> {
  const candidates = wanted === undefined ? ['python3', 'python'] : [wanted]
  const old: string[] = []
  for (const command of candidates) {
    const { code, stdout } = await run(command, ['-c', 'import platform; print(platform.python_version())'])
    if (code !== 0) continue
    const version = stdout.trim()
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major === 3 && minor >= 9) return { command, version }
    old.push(`${command} is ${version}`)
  }
  const problem = old.length > 0 ? old.join(', ') : `no Python found (tried ${candidates.join(', ')})`
  throw new SetupError(
    problem,
    'install Python 3.9 or newer (Debian, Ubuntu: apt-get install python3 python3-pip; macOS: brew install python), or name one with --python PATH',
  )
}

/** @throws SetupError where Python has no pip */
export async function requirePip(run: Run, { command }: Python): Promise<void> {
  const { code } = await run(command, ['-m', 'pip', '--version'])
  if (code !== 0)
    throw new SetupError(
      `${command} has no pip, which fetches TensorFlow`,
      'install it (Debian, Ubuntu: apt-get install python3-pip; elsewhere: python3 -m ensurepip), or give a wheel with --wheel FILE',
    )
}

/**
 * Finds a C++ compiler: the one named by CXX, else what is on the path.
 * @throws SetupError where there is none
 */
export async function findCompiler(run: Run, wanted?: string): Promise<Compiler> {
  const candidates = wanted ? [wanted] : ['c++', 'g++', 'clang++']
  for (const command of candidates) {
    const { code, stdout } = await run(command, ['--version'])
    if (code === 0) return { command, description: stdout.split('\n')[0]!.trim() }
  }
  throw new SetupError(
    `no C++ compiler found (tried ${candidates.join(', ')})`,
    'install one (Debian, Ubuntu: apt-get install g++; macOS: xcode-select --install), or name one in the environment variable CXX',
  )
}

/** @throws SetupError where npm does not run */
export async function requireNpm(run: Run): Promise<void> {
  const ran = await run('npm', ['--version'])
  if (ran.code !== 0)
    throw new SetupError(`npm does not run: ${lastLines(ran, 1)}`, 'install npm, which comes with Node')
}
