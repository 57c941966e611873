import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { bindingFile, type BuiltTensorFlow, nativeKernels } from '../backends/tensorflow-build.ts'
import { cacheFolder, readRecord, recordFile, type TensorFlowRecord } from '../backends/tensorflow-record.ts'
import { writeAtomically } from './atomic-file.ts'
import { compileBinding } from './compile-binding.ts'
import { fetchPackage, nodeApiHeaders, protobuf, tfjsNode, writeCorePlaceholders } from './npm-packages.ts'
import {
  findCompiler,
  findPython,
  type Host,
  nodeApi,
  type Python,
  requireHost,
  requireNpm,
  thisHost,
} from './prerequisites.ts'
import type { Run } from './run.ts'
import { SetupError } from './setup-error.ts'
import { makeStaging, moveIntoPlace, requireReplaceable } from './staging.ts'
import {
  distributionFor,
  downloadWheel,
  findInstalled,
  type TensorFlowLibrary,
  tensorflowVersion,
  unpackWheel,
} from './tensorflow-library.ts'
import type { TriedBuild } from './try-build.ts'

/** What the command line says. */
export interface SetupOptions {
  readonly gpu: boolean
  readonly python?: string | undefined
  readonly wheel?: string | undefined
  readonly dir?: string | undefined
  readonly force: boolean
}

/** What the setup works with; tests put their own in. */
export interface SetupTools {
  readonly run: Run
  /** prints a line of progress */
  readonly say: (line: string) => void
  /** loads a build in a process of its own */
  readonly tryBuild: (build: BuiltTensorFlow) => Promise<TriedBuild>
  readonly host?: Host
}

/**
 * Builds tfjs-node's binding against a TensorFlow wheel, or a TensorFlow installed in Python, and records it for
 * `useBackend`.
 *
 * Everything is made in a folder beside the result and moved there in one step; whatever fails leaves nothing behind.
 * @throws SetupError with what is missing and how to get it
 */
export async function setupTensorFlow(options: SetupOptions, tools: SetupTools): Promise<TensorFlowRecord> {
  const { run, say, host = thisHost } = tools
  requireHost(host)
  const python = await findPython(run, options.python)
  const installed = options.wheel === undefined ? await findInstalled(run, python, { ...options, ...host }) : undefined
  if (!options.force) {
    const kept = await workingBuild(options, installed, tools)
    if (kept !== undefined) {
      say(`already built: TensorFlow ${kept.tensorflow} in ${kept.folder} (--force builds it again)`)
      return kept
    }
  }
  const compiler = await findCompiler(run, process.env['CXX'])
  await requireNpm(run)
  say(`Node ${host.node}, Python ${python.version}, ${compiler.description}`)

  // Beside the usual place, whichever version it turns out to be.
  const staging = makeStaging(
    options.dir === undefined ? join(cacheFolder(), variantOf(options)) : resolve(options.dir),
  )
  try {
    const library = installed ?? (await fetchLibrary(python, staging, options, tools))
    const target = options.dir === undefined ? usualFolder(library, options, host) : resolve(options.dir)
    requireReplaceable(target)

    const packages = join(staging, 'packages')
    mkdirSync(packages)
    say(`fetching ${tfjsNode.name} ${tfjsNode.version}`)
    const source = await fetchPackage(run, tfjsNode, staging)
    await fetchPackage(run, protobuf, staging)
    const headers = await fetchPackage(run, nodeApiHeaders, packages)
    writeCorePlaceholders(staging)
    writeFileSync(join(staging, 'package.json'), '{ "private": true, "type": "commonjs" }\n')

    say('compiling the binding')
    await compileBinding(run, compiler, {
      tfjsNode: source,
      kernels: kernelsSource(),
      headers,
      tensorflow: library.folder,
      libraryPath: library === installed ? { absolute: library.folder } : { besideBinding: 'tensorflow' },
      output: join(staging, bindingFile),
      platform: host.platform,
    })
    rmSync(packages, { recursive: true })
    if (library !== installed) rmSync(join(library.folder, 'include'), { recursive: true })

    const build = { variant: variantOf(options), tfjsNode: tfjsNode.version, kernels: nativeKernels }
    await tryInChild({ ...build, folder: staging }, options, tools)
    moveIntoPlace(staging, target)
    const record: TensorFlowRecord = {
      ...build,
      tensorflow: library.version,
      source: library.source,
      sha256: library.sha256,
      folder: target,
      platform: host.platform,
      arch: host.arch,
      compiler: compiler.description,
      node: host.node,
      nodeApi,
      date: new Date().toISOString(),
    }
    writeAtomically(recordFile(record.variant), `${JSON.stringify(record, null, 2)}\n`)
    say(`built in ${target}, recorded in ${recordFile(record.variant)}`)
    return record
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** The source of our own operations, which this package brings along. */
function kernelsSource(): string {
  const manifest = createRequire(import.meta.url).resolve('@x/core-gpu/package.json')
  return join(dirname(manifest), 'native', 'kernels.cc')
}

function variantOf({ gpu }: SetupOptions): TensorFlowRecord['variant'] {
  return gpu ? 'tensorflow-gpu' : 'tensorflow'
}

function usualFolder({ version }: TensorFlowLibrary, options: SetupOptions, { platform, arch }: Host): string {
  return join(cacheFolder(), `${variantOf(options)}-${version}-${platform}-${arch}`)
}

/** The recorded build, when it is what the options ask for and loads. */
async function workingBuild(
  options: SetupOptions,
  installed: TensorFlowLibrary | undefined,
  { tryBuild }: SetupTools,
): Promise<TensorFlowRecord | undefined> {
  try {
    const record = readRecord(variantOf(options))
    if (record === undefined || record.tfjsNode !== tfjsNode.version || record.kernels !== nativeKernels)
      return undefined
    if (options.dir !== undefined && record.folder !== resolve(options.dir)) return undefined
    const wanted =
      options.wheel === undefined
        ? record.source === installed?.source || (installed === undefined && record.tensorflow === tensorflowVersion)
        : record.source === options.wheel.split('/').at(-1)
    if (!wanted) return undefined
    await tryBuild(record)
    return record
  } catch {
    return undefined // of no use: it is built anew
  }
}

async function fetchLibrary(
  python: Python,
  staging: string,
  options: SetupOptions,
  { run, say, host = thisHost }: SetupTools,
): Promise<TensorFlowLibrary> {
  if (options.wheel !== undefined) {
    if (!existsSync(options.wheel))
      throw new SetupError(`--wheel: there is no file ${options.wheel}`, 'name a wheel of tensorflow or tensorflow-cpu')
    say(`unpacking ${options.wheel}`)
    return unpackWheel(run, python, resolve(options.wheel), staging, host.platform)
  }
  const distribution = distributionFor(options.gpu, host)
  say(`no TensorFlow in Python; fetching ${distribution} ${tensorflowVersion} with pip (some hundred megabytes)`)
  const downloads = join(staging, 'downloads')
  mkdirSync(downloads)
  const wheel = await downloadWheel(run, python, distribution, downloads)
  say(`unpacking ${wheel.split('/').at(-1)}`)
  const library = await unpackWheel(run, python, wheel, staging, host.platform)
  rmSync(downloads, { recursive: true })
  return library
}

async function tryInChild(
  build: Parameters<SetupTools['tryBuild']>[0],
  { gpu }: SetupOptions,
  { say, tryBuild }: SetupTools,
): Promise<void> {
  say('trying it in a new process')
  try {
    const { tensorflow, usesGpu } = await tryBuild(build)
    say(`TensorFlow ${tensorflow} multiplies matrices`)
    if (gpu && !usesGpu)
      say('it found no GPU here: check the NVIDIA driver, and that pip install "tensorflow[and-cuda]" has been run')
  } catch (error) {
    throw new SetupError(
      `the binding was compiled, but does not work: ${error instanceof Error ? error.message : String(error)}`,
      'the libraries may be for another machine: give a wheel that fits with --wheel FILE',
    )
  }
}
