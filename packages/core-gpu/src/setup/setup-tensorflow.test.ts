import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { bindingFile, nativeKernels } from '../backends/tensorflow-build.ts'
import { readRecord, recordFile } from '../backends/tensorflow-record.ts'
import { compilerArguments } from './compile-binding.ts'
import { type Ran, type Run, runner } from './run.ts'
import { SetupError } from './setup-error.ts'
import { type SetupOptions, type SetupTools, setupTensorFlow } from './setup-tensorflow.ts'
import { thisHost } from './prerequisites.ts'
import { distributionFor } from './tensorflow-library.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'setup-'))
  vi.stubEnv('XDG_CACHE_HOME', folder)
  vi.stubEnv('CXX', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

const ok = (stdout = ''): Ran => ({ code: 0, stdout, stderr: '' })
const absent: Ran = { code: null, stdout: '', stderr: 'spawn ENOENT' }
const host = { platform: 'linux', arch: 'x64', node: '24.0.0', nodeApi: 10 }
const options: SetupOptions = { gpu: false, force: false }
const refusal = /npm gave another/

/** A machine that has everything, in which the programs of `changes` answer otherwise. */
function machine(changes: Record<string, (args: readonly string[]) => Ran> = {}): SetupTools & { lines: string[] } {
  const lines: string[] = []
  const usual: Record<string, (args: readonly string[]) => Ran> = {
    python3: (args) => {
      if (args.includes('download')) {
        const wheel = join(args[args.indexOf('--dest') + 1]!, 'tensorflow_cpu-2.21.0-cp312-cp312-linux.whl')
        writeFileSync(wheel, 'wheel')
        return ok()
      }
      if (args[1]?.includes('platform.python_version')) return ok('3.11.2\n')
      if (args[1]?.includes('zipfile')) {
        mkdirSync(join(args[3]!, 'tensorflow', 'include'), { recursive: true })
        return ok(JSON.stringify({ version: '2.21.0', sha256: 'abc', complete: true }))
      }
      return ok()
    },
    'c++': (args) => {
      if (args.includes('-o')) writeFileSync(args[args.indexOf('-o') + 1]!, 'binding')
      return ok('c++ 12.2.0\nmore')
    },
    npm: (args) => {
      const [name] = args[1]?.split(/(?<=.)@/) ?? []
      if (args[0] === 'pack') {
        const file = `${name!.replace('@', '').replace('/', '-')}-${args[1]!.split('@').at(-1)}.tgz`
        writeFileSync(join(args.at(-1)!, file), 'archive')
      }
      return ok('11.0.0')
    },
    tar: () => ok(),
  }
  const run: Run = async (command, args) => (changes[command] ?? usual[command] ?? (() => absent))(args)
  return {
    lines,
    run,
    host,
    say: (line) => lines.push(line),
    tryBuild: async () => ({ tensorflow: '2.21.0', usesGpu: false }),
  }
}

const failure = async (tools: SetupTools, changed: Partial<SetupOptions> = {}): Promise<SetupError> => {
  try {
    await setupTensorFlow({ ...options, ...changed }, tools)
  } catch (error) {
    expect(error).toBeInstanceOf(SetupError)
    // Whatever goes wrong, nothing stays.
    expect(existsSync(join(folder, 'x-core')) ? readdirSync(join(folder, 'x-core')) : []).toEqual([])
    return error as SetupError
  }
  throw new Error('the setup was expected to fail')
}

// The fake archives cannot have the hashes of the real ones: these tests go up to there.
describe('setup-tensorflow says what is missing and how to get it', () => {
  it.each([
    ['Python', { python3: () => absent }, /no Python found \(tried python3, python\)\n.*apt-get install python3/],
    ['a newer Python', { python3: () => ok('3.8.1\n') }, /python3 is 3\.8\.1\n.*Python 3\.9 or newer/],
    ['a compiler', { 'c++': () => absent }, /no C\+\+ compiler found \(tried c\+\+, g\+\+, clang\+\+\)\n.*g\+\+.*CXX/],
    ['npm', { npm: () => absent }, /npm does not run: spawn ENOENT/],
  ])('%s', async (_, changes, message) => {
    expect((await failure(machine(changes))).message).toMatch(message)
  })

  it('pip', async () => {
    const tools = machine()
    const run: Run = async (command, args) =>
      args.join(' ') === '-m pip --version'
        ? { code: 1, stdout: '', stderr: 'No module named pip' }
        : tools.run(command, args)
    expect((await failure({ ...tools, run })).message).toMatch(/python3 has no pip.*\n.*python3-pip.*--wheel FILE/)
  })

  it('a wheel', async () => {
    const tools = machine()
    const run: Run = async (command, args) =>
      args.includes('download')
        ? { code: 1, stdout: '', stderr: 'ERROR: No matching distribution found' }
        : tools.run(command, args)
    expect((await failure({ ...tools, run })).message).toMatch(
      /could not fetch tensorflow-cpu==2\.21\.0:\nERROR: No matching.*\n.*--wheel FILE/,
    )
    expect((await failure(machine(), { wheel: '/nowhere.whl' })).message).toMatch(/--wheel: there is no file/)
  })

  it('a machine for which there is TensorFlow', async () => {
    const tools = machine()
    expect((await failure({ ...tools, host: { ...host, platform: 'win32' } })).message).toMatch(
      /Linux and macOS.*win32/,
    )
    expect((await failure({ ...tools, host: { ...host, node: '18.0.0' } })).message).toMatch(/Node 18\.0\.0 is too old/)
  })

  it('the package that was expected, not another one', async () => {
    const error = await failure(machine())
    expect(error.message).toMatch(refusal)
    expect(error.message).toContain(`got sha512-${createHash('sha512').update('archive').digest('base64')}`)
  })

  it('leaves folders with other files alone', async () => {
    const dir = join(folder, 'mine')
    mkdirSync(dir)
    writeFileSync(join(dir, 'thesis.txt'), 'text')
    expect((await failure(machine(), { dir })).message).toMatch(/mine holds other files/)
    expect(readFileSync(join(dir, 'thesis.txt'), 'utf8')).toBe('text')
  })
})

describe('what is built already', () => {
  const record = {
    variant: 'tensorflow',
    tensorflow: '2.21.0',
    source: 'a.whl',
    sha256: 'abc',
    tfjsNode: '4.22.0',
    kernels: nativeKernels,
    platform: process.platform,
    arch: process.arch,
    compiler: 'c++',
    node: '24.0.0',
    nodeApi: 8,
    date: '2026-01-01T00:00:00.000Z',
  }
  const write = (changes: object = {}): string => {
    const built = join(folder, 'built')
    mkdirSync(built, { recursive: true })
    writeFileSync(join(built, bindingFile), '')
    mkdirSync(dirname(recordFile('tensorflow')), { recursive: true })
    writeFileSync(recordFile('tensorflow'), JSON.stringify({ ...record, folder: built, ...changes }))
    return built
  }

  it('is kept', async () => {
    const built = write()
    const tools = machine()
    expect((await setupTensorFlow(options, tools)).folder).toBe(built)
    expect(tools.lines).toEqual([`already built: TensorFlow 2.21.0 in ${built} (--force builds it again)`])
  })

  it.each([
    ['it does not load', {}, {}, true],
    ['another wheel is wanted', {}, { wheel: 'b.whl' }, false],
    ['another folder is wanted', {}, { dir: 'elsewhere' }, false],
    ['its operations are of another version', { kernels: nativeKernels - 1 }, {}, false],
    ['all is to be built again', {}, { force: true }, false],
  ])('is built anew when %s', async (_, changes, wanted, broken) => {
    write(changes)
    const tools = machine()
    const tryBuild = broken ? () => Promise.reject(new Error('GLIBC')) : tools.tryBuild
    // The setup goes on, to where the fakes end.
    await expect(setupTensorFlow({ ...options, ...wanted }, { ...tools, tryBuild })).rejects.toThrow(SetupError)
    expect(tools.lines.join()).not.toContain('already built')
  })

  it('is read where it is of use, and refused with the reason where not', () => {
    expect(readRecord('tensorflow')).toBeUndefined()
    const built = write()
    expect(readRecord('tensorflow')).toEqual({ ...record, folder: built })
    write({ arch: 'riscv64' })
    expect(() => readRecord('tensorflow')).toThrow(/is for \w+ riscv64, and this is/)
    write({ folder: join(folder, 'gone') })
    expect(() => readRecord('tensorflow')).toThrow(/gone, which .* names, is gone/)
    write({ variant: 7 })
    expect(() => readRecord('tensorflow')).toThrow(/is no record of a TensorFlow setup/)
  })
})

describe('the steps', () => {
  it('link with what is beside the binding, or where TensorFlow is installed', () => {
    const parts = {
      tfjsNode: '/p',
      kernels: '/k.cc',
      headers: '/h',
      tensorflow: '/t',
      output: '/o',
      platform: 'linux',
      libraryPath: { besideBinding: 'tensorflow' },
    }
    expect(compilerArguments(parts)).toContain('-Wl,-rpath,$ORIGIN/tensorflow')
    expect(compilerArguments({ ...parts, libraryPath: { absolute: '/site/tensorflow' } })).toContain(
      '-Wl,-rpath,/site/tensorflow',
    )
    expect(compilerArguments({ ...parts, platform: 'darwin' })).toEqual(
      expect.arrayContaining(['-bundle', 'dynamic_lookup', '-Wl,-rpath,@loader_path/tensorflow']),
    )
  })

  it('fetch the wheel without CUDA where there is one and none is asked for', () => {
    expect(distributionFor(false, host)).toBe('tensorflow-cpu')
    expect(distributionFor(true, host)).toBe('tensorflow')
    expect(distributionFor(false, { platform: 'linux', arch: 'arm64' })).toBe('tensorflow')
  })

  it('end with the signal, together with the program under way', async () => {
    const controller = new AbortController()
    const run = runner(controller.signal)
    expect(await run(process.execPath, ['-e', 'console.log(1)'])).toEqual({ code: 0, stdout: '1\n', stderr: '' })
    expect((await run('no-such-program', [])).code).toBeNull()
    const sleeping = run(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'])
    controller.abort(new Error('SIGINT'))
    await expect(sleeping).rejects.toThrow('SIGINT')
    await expect(run('c++', [])).rejects.toThrow('SIGINT')
  })

  it('know this machine', () => {
    expect(thisHost.nodeApi).toBeGreaterThanOrEqual(8)
  })
})

describe('native/kernels.cc', () => {
  it('has the hash of its version: a change needs a new nativeKernels', () => {
    const source = readFileSync(new URL('../../native/kernels.cc', import.meta.url))
    expect([nativeKernels, createHash('sha256').update(source).digest('hex').slice(0, 16)]).toEqual([
      3,
      'd1b0473371925a85',
    ])
  })
})
