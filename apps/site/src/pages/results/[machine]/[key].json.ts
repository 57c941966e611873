import type { APIRoute, GetStaticPaths } from 'astro'
import { readEntries } from '../../../measurements/measured.ts'
import type { Entry } from '../../../measurements/rows.ts'

// The raw results, so that links to them work wherever the site is.
export const getStaticPaths: GetStaticPaths = async () =>
  (await readEntries()).map(({ result }) => ({
    params: { machine: result.environment.machineId, key: result.key },
    props: { result },
  }))

export const GET: APIRoute<Pick<Entry, 'result'>> = ({ props }) => Response.json(props.result)
