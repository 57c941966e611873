import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Host, type Python, requirePip } from './prerequisites.ts'
import { lastLines, type Run } from './run.ts'
import { SetupError } from './setup-error.ts'

/** The TensorFlow that is fetched where none is installed. */
export const tensorflowVersion = '2.21.0'

/** TensorFlow's libraries and headers, in one folder. */
export interface TensorFlowLibrary {
  readonly version: string
  /** holds the libraries, and `include` */
  readonly folder: string
  /** the wheel's file name, or the folder again where TensorFlow is installed */
  readonly source: string
  /** of the wheel; null where TensorFlow is installed */
  readonly sha256: string | null
}

/** The file names of TensorFlow's two libraries. */
export function libraryFiles(platform: string): readonly [string, string] {
  return platform === 'darwin'
    ? ['libtensorflow_cc.2.dylib', 'libtensorflow_framework.2.dylib']
    : ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']
}

/** The distribution that has the library: `tensorflow` is built with CUDA on Linux, `tensorflow-cpu` is smaller. */
export function distributionFor(gpu: boolean, { platform, arch }: Pick<Host, 'platform' | 'arch'>): string {
  return !gpu && platform === 'linux' && arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow'
}

// Finds the package without loading it, which takes seconds.
const findScript = `
import importlib.metadata, importlib.util, json, os, sys
for name in sys.argv[1:]:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    spec = importlib.util.find_spec("tensorflow")
    if spec is not None and spec.origin is not None:
        print(json.dumps({"version": version, "folder": os.path.dirname(spec.origin)}))
        break
`

/** TensorFlow as installed in that Python, to be used where it is; undefined where there is none, or none that serves. */
export async function findInstalled(
  run: Run,
  python: Python,
  { gpu, platform }: { readonly gpu: boolean; readonly platform: string },
): Promise<TensorFlowLibrary | undefined> {
  const names = gpu ? ['tensorflow'] : ['tensorflow', 'tensorflow-cpu']
  const { code, stdout } = await run(python.command, ['-c', findScript, ...names])
  if (code !== 0 || stdout.trim() === '') return undefined
  const { version, folder } = JSON.parse(stdout) as { version: string; folder: string }
  const parts = [...libraryFiles(platform), 'include/tensorflow/c/c_api.h']
  return parts.every((part) => existsSync(join(folder, part)))
    ? { version, folder, source: folder, sha256: null }
    : undefined
}

/**
 * Fetches a wheel.
 *
 * Nothing in it is run by Python, so it need not be one for the Python that fetches it.
 * @throws SetupError where there is no pip, or pip finds no wheel
 */
export async function downloadWheel(run: Run, python: Python, distribution: string, folder: string): Promise<string> {
  await requirePip(run, python)
  const wanted = `${distribution}==${tensorflowVersion}`
  const choice = ['--no-deps', '--only-binary=:all:', '--python-version', '3.12', '--implementation', 'cp']
  const ran = await run(python.command, ['-m', 'pip', 'download', ...choice, '--dest', folder, wanted])
  const wheel = ran.code === 0 ? readdirSync(folder).find((name) => name.endsWith('.whl')) : undefined
  if (wheel === undefined)
    throw new SetupError(
      `pip could not fetch ${wanted}:\n${lastLines(ran, 4)}`,
      'check that pip reaches a package index that has it for this machine, or give a wheel with --wheel FILE',
    )
  return join(folder, wheel)
}

// Of a wheel's 1.2 GB, only the libraries and the headers of the C interface are needed.
const unpackScript = `
import hashlib, json, re, sys, zipfile
wheel, target, libraries = sys.argv[1], sys.argv[2], sys.argv[3:]
headers = re.compile(r"tensorflow/include/(absl|tensorflow/c|tensorflow/core/(common_runtime|platform)|tsl/platform|xla/tsl/c)/.*\\.(h|inc)$")
with zipfile.ZipFile(wheel) as archive:
    names = archive.namelist()
    wanted = [n for n in names if headers.match(n) or n in ["tensorflow/" + l for l in libraries]]
    archive.extractall(target, wanted)
    version = next((m[1] for m in (re.match(r"tensorflow\\w*-([^/-]+)\\.dist-info/", n) for n in names) if m), None)
digest = hashlib.sha256()
with open(wheel, "rb") as file:
    for part in iter(lambda: file.read(1 << 20), b""):
        digest.update(part)
print(json.dumps({"version": version, "sha256": digest.hexdigest(), "complete": all("tensorflow/" + n in wanted for n in libraries + ["include/tensorflow/c/c_api.h"])}))
`

/**
 * Takes what is needed out of a wheel, into the folder `tensorflow` in `target`.
 * @throws SetupError where it is no wheel of TensorFlow for this platform
 */
export async function unpackWheel(
  run: Run,
  python: Python,
  wheel: string,
  target: string,
  platform: string,
): Promise<TensorFlowLibrary> {
  const ran = await run(python.command, ['-c', unpackScript, wheel, target, ...libraryFiles(platform)])
  const remedy = `give one of tensorflow or tensorflow-cpu for this machine, 2.16 or newer`
  if (ran.code !== 0) throw new SetupError(`${wheel} cannot be unpacked: ${lastLines(ran, 1)}`, remedy)
  const { version, sha256, complete } = JSON.parse(ran.stdout) as {
    version: string | null
    sha256: string
    complete: boolean
  }
  if (version === null || !complete)
    throw new SetupError(`${wheel} lacks TensorFlow's libraries for ${platform}, or their headers`, remedy)
  return { version, folder: join(target, 'tensorflow'), source: wheel.split('/').at(-1)!, sha256 }
}
