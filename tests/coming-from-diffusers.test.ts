import { readFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import * as diffusion from '@x/diffusion'
import { expect, it } from 'vitest'

const root = new URL('../', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8')
const page = read('apps/site/src/content/docs/coming-from-diffusers.md')

// Of each row what it says of diffusers or k-diffusion and, as code, what stands for it here.
const rows = page
  .split('\n')
  .filter((line) => /^\| [^-]/.test(line) && !/\| Here +\|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, there = '', here = '', remarks = '']) => ({ there, here, remarks }))

const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, code]) => code!)
const exported = diffusion as Record<string, unknown>

// At commit 58eb52c0, and those it calls deprecated.
const schedulers =
  'Amused BlockRefinement CMStochasticIterative CogVideoXDDIM CogVideoXDPM ConsistencyDecoder CosineDPMSolverMultistep DDIM DDIMInverse DDIMParallel DDPM DDPMParallel DDPMWuerstchen DEISMultistep DPMSolverMultistep DPMSolverMultistepInverse DPMSolverSDE DPMSolverSinglestep DiscreteDDIM EDMDPMSolverMultistep EDMEuler EntropyBound EulerAncestralDiscrete EulerDiscrete FlowMapEulerDiscrete FlowMatchEulerDiscrete FlowMatchHeunDiscrete FlowMatchLCM Helios HeliosDMD HeunDiscrete IPNDM KDPM2Discrete KDPM2AncestralDiscrete LCM LMSDiscrete LTXEulerAncestralRF MiniMaxH3 PNDM RePaint SASolver SCM ScoreSdeVe TCD UnCLIP UniPCMultistep VQDiffusion KarrasVe ScoreSdeVp'.split(
    ' ',
  )
const samplers =
  'sample_euler sample_euler_ancestral sample_heun sample_dpm_2 sample_dpm_2_ancestral sample_lms sample_dpm_fast sample_dpm_adaptive sample_dpmpp_2s_ancestral sample_dpmpp_sde sample_dpmpp_2m sample_dpmpp_2m_sde sample_dpmpp_3m_sde log_likelihood get_sigmas_karras get_sigmas_exponential get_sigmas_polyexponential get_sigmas_vp BrownianTreeNoiseSampler PIDStepSizeController'.split(
    ' ',
  )

it('every scheduler and sampler has a row, and no other', () => {
  const listed = rows.flatMap(({ there }) => codeIn(there)).filter((name) => name !== 's_noise')
  expect(listed.toSorted()).toEqual([...schedulers.map((name) => `${name}Scheduler`), ...samplers].toSorted())
})

it('what the tables call is exported', () => {
  const called = new Set(
    rows.flatMap(({ here, remarks }) =>
      [...codeIn(here), ...codeIn(remarks)].flatMap((code) =>
        [...code.matchAll(/(?<![.\w])([a-z]\w*)(?=\()/gi)].map(([name]) => name),
      ),
    ),
  )
  expect(called.size).toBeGreaterThan(30)
  expect([...called].filter((name) => typeof exported[name] !== 'function')).toEqual([])
  const bare = rows.flatMap(({ here }) => codeIn(here)).filter((code) => /^\w+$/.test(code))
  expect(bare.filter((name) => !(name in exported))).toEqual([])
})

it('samplers are named with options that they take', async () => {
  await diffusion.useBackend('cpu')
  const tensor = tf.zeros([1])
  const wrong: string[] = []
  let tried = 0
  for (const code of rows.flatMap(({ here }) => codeIn(here))) {
    const [, name = '', options = ''] = /^(\w+)\((?:\{(.*)\})?\)$/.exec(code) ?? []
    const method = exported[name]
    if (!(diffusion.samplers as readonly unknown[]).includes(method)) continue
    const required = method === diffusion.repaint ? { known: tensor, mask: tensor } : {}
    for (const option of options.split(',').map((part) => part.split(':')[0]!.trim())) {
      if (option === '') continue
      tried++
      // An option that is known is refused for its value, by name.
      try {
        ;(method as (options: object) => unknown)({ ...required, [option]: Symbol('no value') })
      } catch (error) {
        if ((error as Error).message.startsWith(`${option}: expected`)) continue
      }
      wrong.push(`${name} ${option}`)
    }
  }
  expect(tried).toBeGreaterThan(40)
  expect(wrong).toEqual([])
  tensor.dispose()
})

it('what has no counterpart has a reason', () => {
  expect(rows.filter(({ here, remarks }) => here === 'none' && remarks === '')).toEqual([])
  expect(rows.filter(({ there, here }) => there === '' || here === '')).toEqual([])
})

it('every sampler that draws or follows the flow is in a table, but those that have no peer there', () => {
  const names = new Set(
    rows.flatMap(({ here, remarks }) => codeIn(`${here} ${remarks}`)).map((code) => code.split('(')[0]),
  )
  const missing = Object.entries(exported)
    .filter(([name, value]) => (diffusion.samplers as readonly unknown[]).includes(value) && !names.has(name))
    .map(([name]) => name)
  expect(missing).toEqual(['amed', 'rk45'])
})
