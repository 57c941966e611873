import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../backends/use-backend.ts'
import { countLeaks } from '../testing/leaks.ts'
import { readFileIfThere, writeFileAtomic } from './files.ts'
import { encodeSafetensors } from './safetensors.ts'
import { loadSafetensors, saveSafetensors } from './safetensors-io.ts'

let folder: string

beforeAll(async () => {
  await useBackend('cpu')
  folder = await mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

const stateOf = (): Record<string, tf.Tensor> => ({
  'a.weight': tf.tensor2d([[1, 2.5], [-3, 4]]), // prettier-ignore
  n: tf.scalar(7, 'int32'),
  none: tf.zeros([0, 2]),
})

async function expectState(tensors: Record<string, tf.Tensor>): Promise<void> {
  expect(Object.keys(tensors).sort()).toEqual(['a.weight', 'n', 'none'])
  expect(Array.from(await tensors['a.weight']!.data())).toEqual([1, 2.5, -3, 4])
  expect(Array.from(await tensors.n!.data())).toEqual([7])
  expect(tensors.none!.shape).toEqual([0, 2])
  tf.dispose(tensors)
}

describe('saveSafetensors and loadSafetensors', () => {
  it('go through a file, by path and by URL', async () => {
    const path = join(folder, 'new', 'folder', 'state.safetensors')
    await saveSafetensors(path, stateOf(), { metadata: { about: 'a test' } })
    expect(new Uint8Array(await readFile(path))).toEqual(
      await encodeSafetensors(stateOf(), { metadata: { about: 'a test' } }),
    )
    for (const source of [path, pathToFileURL(path)]) {
      const { tensors, metadata } = await loadSafetensors(source)
      expect(metadata).toEqual({ about: 'a test' })
      await expectState(tensors)
    }
    expect(await readdir(join(folder, 'new', 'folder'))).toEqual(['state.safetensors'])
  })

  it('read bytes, blobs and streams', async () => {
    const bytes = await encodeSafetensors(stateOf())
    for (const source of [bytes, bytes.buffer, new Blob([bytes]), new Blob([bytes]).stream()])
      await expectState((await loadSafetensors(source)).tensors)
  })

  it('write a stream and end it', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const [{ tensors }] = await Promise.all([loadSafetensors(readable), saveSafetensors(writable, stateOf())])
    await expectState(tensors)
  })

  it('abort a stream when a tensor cannot be written', async () => {
    let reason: unknown
    const writable = new WritableStream<Uint8Array>({ abort: (error) => void (reason = error) })
    const bad = { x: tf.tensor1d([300], 'int32') }
    await expect(saveSafetensors(writable, bad, { dtype: () => 'U8' })).rejects.toThrow(/the value 300/)
    expect(reason).toBeInstanceOf(RangeError)
  })

  it('fetch an address', async () => {
    const bytes = await encodeSafetensors(stateOf())
    const server = createServer((request, response) => {
      if (request.url === '/state') response.end(bytes)
      else response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await expectState((await loadSafetensors(`${address}/state`)).tensors)
    await expectState((await loadSafetensors(new URL(`${address}/state`))).tensors)
    await expect(loadSafetensors(`${address}/nothing`)).rejects.toThrow(/nothing answered 404/)
    await new Promise((resolve) => server.close(resolve))
  })

  it('leave the old file, and nothing else, when writing fails', async () => {
    const path = join(folder, 'kept.safetensors')
    await saveSafetensors(path, stateOf())
    const bad = { ...stateOf(), z: tf.tensor1d([300], 'int32') }
    await expect(saveSafetensors(path, bad, { dtype: (name) => (name === 'z' ? 'U8' : undefined) })).rejects.toThrow(
      /300/,
    )
    await expectState((await loadSafetensors(path)).tensors)
    expect((await readdir(folder)).filter((name) => name.includes('tmp'))).toEqual([])
  })

  it('refuse truncated files and blobs, and leave no tensor behind', async () => {
    const path = join(folder, 'short.safetensors')
    const bytes = await encodeSafetensors(stateOf())
    await saveSafetensors(path, stateOf())
    await truncate(path, bytes.length - 1)
    await expect(loadSafetensors(path)).rejects.toThrow(/source: .*truncated: entry "n"/)
    await writeFile(path, bytes.subarray(0, 5))
    await expect(loadSafetensors(path)).rejects.toThrow(/expected at least 8 bytes, got 5/)
    await expect(loadSafetensors(new Blob([bytes.subarray(0, 20)]))).rejects.toThrow(/truncated: the header/)

    const header =
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"BOOL","shape":[1],"data_offsets":[1,2]}}'
    const text = new TextEncoder().encode(header)
    await writeFile(path, Uint8Array.from([text.length, 0, 0, 0, 0, 0, 0, 0, ...text, 1, 7]))
    const refused = async (): Promise<void> => {
      await expect(loadSafetensors(path)).rejects.toThrow(/entry "b": the value 7/)
    }
    expect(await countLeaks(refused)).toBe(0)
  })

  it('refuse what they cannot use', async () => {
    await expect(loadSafetensors(3 as never)).rejects.toThrow(
      /source: expected a path, URL, bytes, stream or blob, got 3/,
    )
    await expect(saveSafetensors(3 as never, {})).rejects.toThrow(/target: expected a path or a WritableStream, got 3/)
    await expect(loadSafetensors(join(folder, 'absent'))).rejects.toThrow(/ENOENT/)
  })
})

describe('files', () => {
  it('are read, or known to be absent', async () => {
    const path = join(folder, 'text')
    expect(await readFileIfThere(path)).toBeNull()
    await writeFileAtomic(path, 'one')
    await writeFileAtomic(path, new TextEncoder().encode('two'))
    expect(new TextDecoder().decode((await readFileIfThere(path))!)).toBe('two')
    await expect(readFileIfThere(folder)).rejects.toThrow(/EISDIR/)
  })

  it('stay as they were when the new content breaks off', async () => {
    const path = join(folder, 'broken')
    await writeFileAtomic(path, 'old')
    async function* content(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('ne')
      throw new Error('the source dried up')
    }
    await expect(writeFileAtomic(path, content())).rejects.toThrow('the source dried up')
    expect(await readFile(path, 'utf8')).toBe('old')
    expect((await readdir(folder)).filter((name) => name.startsWith('broken'))).toEqual(['broken'])
  })
})
