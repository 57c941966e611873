import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { decodeSafetensors, encodeSafetensors, key, loadSafetensors, saveSafetensors, useBackend } from '@x/core-gpu'
import { countLeaks } from '@x/core-gpu/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { alibi, type Decoder, decoder, deepseekDecoder, exportWeights, gqa, gta, llamaDecoder, loadDecoder, loadWeights, openCheckpoint } from '../index.ts' // prettier-ignore

// Others by the same script, such as random ones, are read from where this variable says.
const others = process.env.CHECKPOINTS_FOLDER !== undefined
const golden = process.env.CHECKPOINTS_FOLDER ?? fileURLToPath(new URL('./golden', import.meta.url))

/** The folder of a recorded checkpoint. */
function folderOf(name: string): string {
  return join(golden, name)
}

/** Its configuration. */
function configOf(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(join(folderOf(name), 'config.json'), 'utf8')) as Record<string, unknown>
}

/** Compares with the logits that were recorded: of one call, and of a prompt and then token by token. */
async function expectRecorded(model: Decoder, name: string): Promise<void> {
  const { tensors } = await loadSafetensors(join(folderOf(name), 'expected.safetensors'))
  const { tokens, prefill, decode } = tensors as { tokens: tf.Tensor2D; prefill: tf.Tensor; decode: tf.Tensor }
  const [batch, length] = tokens.shape
  expect(await farthest(model.logits(tokens), prefill)).toBeLessThan(1e-4)
  const cache = model.createCache({ batch, capacity: length })
  const pieces = [[0, 4], ...Array.from({ length: length - 4 }, (_, i) => [4 + i, 1])]
  const stepwise = pieces.map(([from, count]) => model.logits(tf.slice(tokens, [0, from!], [batch, count!]), { cache }))
  expect(await farthest(tf.concat(stepwise, 1), decode)).toBeLessThan(1e-4)
  cache.dispose()
}

async function farthest(got: tf.Tensor, wanted: tf.Tensor): Promise<number> {
  expect(got.shape).toEqual(wanted.shape)
  const [a, b] = [await got.data(), await wanted.data()]
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))
}

const names = globSync('*/config.json', { cwd: golden }).map((file) => file.replace(/[/\\].*/, '')).sort() // prettier-ignore
const scratch = mkdtempSync(join(tmpdir(), 'checkpoints-'))
afterAll(() => rmSync(scratch, { recursive: true }))

const build = (name: string): Decoder =>
  (name.startsWith('deepseek') ? deepseekDecoder : llamaDecoder)(configOf(name), { key: key(5) })

describe.each(['cpu', 'wasm'] as const)('checkpoints on %s', (backend) => {
  beforeAll(async () => void (await useBackend(backend)))

  it.each(names)('%s gives the recorded logits, prefill and decode', async (name) => {
    const model = await loadDecoder(folderOf(name))
    await expectRecorded(model, name)
    model.dispose()
  })
})

describe.skipIf(others)('checkpoints', () => {
  beforeAll(async () => void (await useBackend('cpu')))

  it('the folder has every kind', () => {
    const kinds = new Set(names.map((name) => configOf(name).model_type))
    expect([...kinds].sort()).toEqual(['deepseek_v2', 'deepseek_v3', 'llama', 'mistral', 'qwen2', 'qwen3'])
  })

  it.each(names)('%s is exported under the names that it had', async (name) => {
    const model = await loadDecoder(folderOf(name))
    const { entries } = await openCheckpoint(folderOf(name))
    const exported = exportWeights(model)
    const wanted = [...entries.keys()].filter((entry) => !entry.endsWith('_scale_inv'))
    expect(Object.keys(exported).sort()).toEqual(wanted.sort())
    const file = join(scratch, `${name}.safetensors`)
    await saveSafetensors(file, exported, { metadata: { format: 'pt' } })
    const again = build(name)
    await loadWeights(again, file)
    await expectRecorded(again, name)
    for (const each of [model, again]) each.dispose()
  })

  it('windows of some layers in the older form of a configuration', async () => {
    const { layer_types: newer, ...older } = configOf('qwen2')
    expect(newer).toEqual(['full_attention', 'sliding_attention'])
    expect(older).toMatchObject({ use_sliding_window: true, max_window_layers: 1 })
    const model = llamaDecoder(older)
    await loadWeights(model, folderOf('qwen2'))
    await expectRecorded(model, 'qwen2')
    model.dispose()
  })

  it('the same from a file, an index, shards, a URL, a blob and tensors', async () => {
    const folder = folderOf('llama3')
    const index = join(folder, 'model.safetensors.index.json')
    const shards = globSync('model-*.safetensors', { cwd: folder }).map((file) => join(folder, file))
    const { tensors } = await loadSafetensors(join(folderOf('mistral'), 'model.safetensors'))
    const sources = {
      llama3: [index, pathToFileURL(index), pathToFileURL(folder), shards, shards.map((file) => new Blob([readFileSync(file)]))], // prettier-ignore
      mistral: [
        join(folderOf('mistral'), 'model.safetensors'),
        new Uint8Array(readFileSync(join(folderOf('mistral'), 'model.safetensors'))),
        Uint8Array.from(readFileSync(join(folderOf('mistral'), 'model.safetensors'))).buffer,
        tensors,
      ],
    }
    expect(shards.length).toBeGreaterThan(1)
    for (const [name, own] of Object.entries(sources))
      for (const source of own) {
        const model = build(name)
        expect((await loadWeights(model, source)).ignored).toEqual([])
        await expectRecorded(model, name)
        model.dispose()
      }
    tf.dispose(tensors)
  })

  it.each([true, false])('from a server that gives parts: %s', async (givesParts) => {
    const asked: (string | undefined)[] = []
    const server = createServer((request, response) => {
      const path = join(golden, request.url!)
      asked.push(request.headers.range)
      if (!globSync(path).length) return void response.writeHead(404).end()
      const bytes = readFileSync(path)
      const [, begin, end] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
      if (!givesParts || begin === undefined) return void response.end(bytes)
      response.writeHead(206, { 'Content-Range': `bytes ${begin}-${end}/${bytes.length}` })
      response.end(bytes.subarray(Number(begin), Number(end) + 1))
    })
    await new Promise<void>((ready) => void server.listen(0, '127.0.0.1', ready))
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    for (const name of ['llama3', 'deepseek-v3-fp8']) {
      const model = await loadDecoder(`${address}/${name}/`)
      await expectRecorded(model, name)
      model.dispose()
    }
    const tensorsOf = exportWeights(build('llama3'))
    if (givesParts) expect(asked.filter(Boolean).length).toBeGreaterThan(Object.keys(tensorsOf).length)
    await expect(loadDecoder(`${address}/nowhere`)).rejects.toThrow(/^folder: there is no config\.json/)
    await new Promise((closed) => server.close(closed))
  })

  it('float8 with a scale for each block is each byte’s number times its block’s scale', async () => {
    const stored = await openCheckpoint(folderOf('deepseek-v3-fp8'))
    const name = 'model.layers.0.mlp.gate_proj.weight'
    expect(stored.entries.get(name)).toMatchObject({ dtype: 'F8_E4M3', shape: [24, 16] })
    const [bytes, scales] = [await stored.read(name), await stored.read(`${name}_scale_inv`)]
    expect(scales.shape).toEqual([3, 4]) // of 8 x 4
    const model = await loadDecoder(folderOf('deepseek-v3-fp8'))
    const loaded = exportWeights(model)[name]!.arraySync() as number[][]
    const [b, s] = [bytes.arraySync() as number[][], scales.arraySync() as number[][]]
    loaded.forEach((row, i) =>
      row.forEach((value, j) => expect(value).toBe(Math.fround(b[i]![j]! * s[i >> 3]![j >> 2]!))),
    )
    expect(Math.max(...b.flat().map(Math.abs))).toBe(448)
    model.dispose()
  })

  it('names everything that is missing, unexpected or misshapen, and changes nothing', async () => {
    const { tensors } = await loadSafetensors(join(folderOf('mistral'), 'model.safetensors'))
    const { 'model.norm.weight': _, 'model.layers.1.self_attn.k_proj.weight': key, ...rest } = tensors
    const wrong = { ...rest, 'model.layers.1.self_attn.k_proj.weight': tf.zeros([8, 15]), 'model.layers.0.extra': key! }
    const model = build('mistral')
    const before = await model.embedding.weight.data()
    await expect(loadWeights(model, wrong)).rejects.toThrow(
      new RangeError(
        'source: does not fit the model: 1 missing (model.norm.weight), 1 unexpected (model.layers.0.extra), ' +
          '1 misshapen (model.layers.1.self_attn.k_proj.weight [8, 15], expected [8, 16])',
      ),
    )
    expect(await model.embedding.weight.data()).toEqual(before)
    model.dispose()
  })

  it('a scale of other blocks is misshapen, one that is missing is missing', async () => {
    const model = build('deepseek-v3-fp8')
    const file = join(folderOf('deepseek-v3-fp8'), 'model.safetensors')
    await expect(loadWeights(model, file)).rejects.toThrow(/^source: .*misshapen .*gate_proj\.weight_scale_inv \[3, 4\], expected \[1, 1\]/) // prettier-ignore
    await expect(loadWeights(model, file, { blockSize: [8, 0] })).rejects.toThrow(/^blockSize\[1\]: .* got 0$/)
    model.dispose()
  })

  it('leaves out tables of angles, a tied head and layers that predict further, and nothing else', async () => {
    const { tensors } = await loadSafetensors(join(folderOf('llama-biases'), 'model.safetensors'))
    const needless = ['model.layers.0.self_attn.rotary_emb.inv_freq', 'lm_head.weight', 'model.layers.2.eh_proj.weight', 'model.layers.2.enorm.weight'] // prettier-ignore
    const more = Object.fromEntries(needless.map((name) => [name, tf.zeros([1])]))
    const model = build('llama-biases')
    expect((await loadWeights(model, { ...tensors, ...more })).ignored).toEqual(needless)
    const deeper = { ...tensors, 'model.layers.2.input_layernorm.weight': tf.zeros([16]) }
    await expect(loadWeights(model, deeper)).rejects.toThrow(/1 unexpected \(model\.layers\.2\.input_layernorm\.weight\)$/) // prettier-ignore
    model.dispose()
  })

  it('tells how far it is, and stops when told', async () => {
    const model = build('mistral')
    const file = join(folderOf('mistral'), 'model.safetensors')
    const told: number[] = []
    await loadWeights(model, file, { onProgress: ({ done, total }) => told.push(done / total) })
    expect(told).toHaveLength(Object.keys(model.state()).length)
    expect(told.at(-1)).toBe(1)
    const controller = new AbortController()
    const stopped = loadWeights(model, file, { signal: controller.signal, onProgress: () => controller.abort() })
    await expect(stopped).rejects.toThrow(/abort/)
    model.dispose()
  })

  it('leaks nothing', async () => {
    for (const name of ['llama3', 'deepseek-v3-fp8'])
      expect(await countLeaks(async () => (await loadDecoder(folderOf(name))).dispose())).toBe(0)
    const wrong = { 'model.norm.weight': tf.zeros([3]) }
    const model = build('mistral')
    expect(await countLeaks(() => loadWeights(model, wrong).catch(() => undefined))).toBe(0)
    model.dispose()
  })

  it('a model with parts that no such checkpoint has is refused', async () => {
    const make = (attention: Parameters<typeof decoder>[0]['attention']) =>
      decoder({ vocabulary: 5, dim: 8, layers: 1, attention })
    const sinking = make((_, own) => gqa({ dim: 8, heads: 2, groups: 1, sinks: 'learned', positions: alibi(), key: own })) // prettier-ignore
    expect(() => exportWeights(sinking)).toThrow(/^model: .*"blocks\.0\.attention\.sinks"/)
    const other = make((_, own) => gta({ dim: 8, heads: 2, groups: 1, key: own }))
    await expect(loadWeights(other, {})).rejects.toThrow(/^model: .*"blocks\.0\.attention\./)
  })
})

describe.skipIf(others)('what is malformed is refused by name', () => {
  const bytesOf = (header: object | string, data = 0): Uint8Array => {
    const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header))
    const bytes = new Uint8Array(8 + json.length + data)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
    bytes.set(json, 8)
    return bytes
  }
  const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets })
  const files: [string, Uint8Array, RegExp][] = [
    ['too short', new Uint8Array(5), /at least 8 bytes, got 5/],
    ['a header beyond the end', bytesOf({ a: entry('F32', [1], [0, 4]) }, 4).subarray(0, 20), /truncated: the header/],
    ['an endless header', new Uint8Array(16).fill(255), /at most 100000000 are allowed/],
    ['no JSON', bytesOf('{'), /no JSON/],
    ['no object', bytesOf('3'), /3, not an object/],
    ['no entry', bytesOf({ a: null }), /entry "a" has the unknown dtype undefined/],
    ['another type', bytesOf({ a: entry('F8_E5M2', [1], [0, 1]) }, 1), /entry "a" has the unknown dtype "F8_E5M2"/],
    ['a shape', bytesOf({ a: entry('F32', [-1], [0, 4]) }, 4), /entry "a" has no valid shape/],
    ['offsets', bytesOf({ a: entry('F32', [1], [4]) }, 4), /entry "a" has no valid data_offsets/],
    ['a size', bytesOf({ a: entry('F8_E4M3', [3], [0, 4]) }, 4), /entry "a" spans 4 bytes, but F8_E4M3 \[3\] takes 3/],
    ['an overlap', bytesOf({ a: entry('F32', [1], [0, 4]), b: entry('F32', [1], [2, 6]) }, 6), /entry "b" begins at 2, expected 4/], // prettier-ignore
    ['a gap', bytesOf({ a: entry('F32', [1], [4, 8]) }, 8), /entry "a" begins at 4, expected 0/],
    ['truncated data', bytesOf({ a: entry('F32', [2], [0, 8]) }, 4), /take 8 bytes, but 4 follow/],
  ]
  it.each(files)('%s', async (_, bytes, message) => {
    await expect(openCheckpoint(bytes)).rejects.toThrow(message)
    await expect(openCheckpoint(bytes)).rejects.toThrow(/^source: /)
    await expect(openCheckpoint(bytes)).rejects.toThrow(RangeError)
  })

  it.each([
    ['{', /^source: its index is no JSON/],
    ['{}', /^source: its index has no weight_map, but undefined/],
    ['{"weight_map":{"a":"../a.safetensors"}}', /^source: its index has "a" in no file of the folder/],
    [
      '{"weight_map":{"b":"model.safetensors"}}',
      /^source: the index has "b" in model\.safetensors, which is not there/,
    ],
  ])('the index %s', async (index, message) => {
    const folder = mkdtempSync(join(scratch, 'index-'))
    writeFileSync(join(folder, 'model.safetensors.index.json'), index)
    writeFileSync(join(folder, 'model.safetensors'), await encodeSafetensors({ a: tf.zeros([1]) }))
    await expect(openCheckpoint(folder)).rejects.toThrow(message)
  })

  it('sources of no kind, and names in two files', async () => {
    await expect(openCheckpoint(3 as never)).rejects.toThrow(/^source: expected .* got 3$/)
    await expect(openCheckpoint({ a: 3 } as never)).rejects.toThrow(/^source: expected tensors by name, got 3 at "a"/)
    await expect(openCheckpoint(join(scratch, 'gone'))).rejects.toThrow(/ENOENT/)
    const file = await encodeSafetensors({ a: tf.zeros([1]) })
    await expect(openCheckpoint([file, file])).rejects.toThrow(/^source: "a" is in two of its files/)
    await expect(loadDecoder(scratch)).rejects.toThrow(/^folder: there is no config\.json/)
    await expect(loadDecoder(3 as never)).rejects.toThrow(/^folder: expected a path or URL, got 3/)
  })

  it('every number type of the core is read as the core reads it', async () => {
    const state = { f: tf.tensor1d([1.5, -2, 0.25]), i: tf.tensor1d([1, 2], 'int32'), b: tf.tensor1d([1, 0], 'bool') }
    for (const dtype of ['F64', 'F32', 'F16', 'BF16'] as const) {
      const file = await encodeSafetensors(state, { dtype: (name) => (name === 'f' ? dtype : undefined) })
      const [source, whole] = [await openCheckpoint(file), decodeSafetensors(file).tensors]
      for (const name of Object.keys(state)) {
        const read = await source.read(name)
        expect(read.dtype).toBe(whole[name]!.dtype)
        expect(await read.data()).toEqual(await whole[name]!.data())
      }
    }
  })

  const llama = { ...tiny('llama'), num_key_value_heads: 2 }
  const deepseek = { ...tiny('deepseek_v3'), kv_lora_rank: 4, qk_nope_head_dim: 4, qk_rope_head_dim: 2, v_head_dim: 4 } // prettier-ignore
  it.each([
    [llama, { hidden_size: undefined }, /^config\.hidden_size: /],
    [llama, { hidden_size: 7 }, /^config\.num_attention_heads: expected a divisor of hidden_size 7, got 2/],
    [llama, { vocab_size: 2.5 }, /^config\.vocab_size: expected a whole number, got 2\.5/],
    [llama, { hidden_act: 'gelu' }, /^config\.hidden_act: expected "silu", got "gelu"/],
    [llama, { model_type: 'gpt2' }, /^config\.model_type: .* got "gpt2"/],
    [llama, { layer_types: ['full_attention'], num_hidden_layers: 2 }, /^config\.layer_types: expected one for each of 2/], // prettier-ignore
    [llama, { partial_rotary_factor: 0.5 }, /^config\.partial_rotary_factor: expected 1, got 0\.5/],
    [llama, { rope_scaling: { type: 'dynamic', factor: 2 } }, /^config\.rope_scaling\.rope_type: .* got "dynamic"/],
    [llama, { rope_scaling: { type: 'linear' } }, /^config\.rope_scaling\.factor: expected a number for linear/],
    [deepseek, { attention_bias: true }, /^config\.attention_bias: expected false, got true/],
    [deepseek, { model_type: 'deepseek_v4' }, /^config\.model_type: /],
    [deepseek, { model_type: 'deepseek_v2', norm_topk_prob: true }, /^config\.norm_topk_prob: expected false/],
    [deepseek, { n_routed_experts: 4, moe_intermediate_size: 4 }, /^config\.num_experts_per_tok: expected a number/],
  ])('a configuration: %#', (config, change, message) => {
    const make = config === llama ? llamaDecoder : deepseekDecoder
    make(config).dispose()
    expect(() => make({ ...config, ...change })).toThrow(message)
  })
})

function tiny(kind: string): Record<string, unknown> {
  return { model_type: kind, vocab_size: 5, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2 } // prettier-ignore
}
