import { describeValue } from '@x/core-gpu'
import type { Decoder } from '../decoder/decoder.ts'
import type { HuggingFaceConfig } from './configuration.ts'
import { deepseekDecoder } from './deepseek-decoder.ts'
import { inFolder, readText } from './file-parts.ts'
import { llamaDecoder } from './llama-decoder.ts'
import { loadWeights, type LoadWeightsOptions } from './weights.ts'

/**
 * Makes the decoder of a folder that has `config.json` and safetensors, and loads its weights.
 * @param folder a path, or the address of such files
 * @throws TypeError, RangeError naming what of the configuration is wrong, or all tensors that do not fit
 * @throws Error when something cannot be read
 */
export async function loadDecoder(
  folder: string | URL,
  options: Omit<LoadWeightsOptions, 'blockSize'> = {},
): Promise<Decoder> {
  if (typeof folder !== 'string' && !(folder instanceof URL))
    throw new TypeError(`folder: expected a path or URL, got ${describeValue(folder)}`)
  const text = await readText(inFolder(folder, 'config.json'))
  if (text === null) throw new Error(`folder: there is no config.json in ${String(folder)}`)
  const config = parse(text)
  const isDeepseek = String(config.model_type).startsWith('deepseek')
  const model = isDeepseek ? deepseekDecoder(config) : llamaDecoder(config)
  try {
    const blockSize = blockSizeOf(config)
    await loadWeights(model, folder, { ...options, ...(blockSize && { blockSize }) })
    return model
  } catch (error) {
    model.dispose()
    throw error
  }
}

function parse(text: string): HuggingFaceConfig {
  try {
    return JSON.parse(text) as HuggingFaceConfig
  } catch (error) {
    throw new RangeError(`folder: its config.json is no JSON (${(error as Error).message})`, { cause: error })
  }
}

function blockSizeOf(config: HuggingFaceConfig): [number, number] | undefined {
  const { weight_block_size: size } = (config.quantization_config ?? {}) as { weight_block_size?: [number, number] }
  return size
}
