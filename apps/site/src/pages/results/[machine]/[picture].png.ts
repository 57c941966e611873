import { readFileSync } from 'node:fs'
import type { APIRoute, GetStaticPaths } from 'astro'
import { readEntries } from '../../../measurements/measured.ts'

// The pictures that runs made and that may be shown.
export const getStaticPaths: GetStaticPaths = async () =>
  (await readEntries()).flatMap(({ result, pictures }) =>
    pictures.flatMap(({ name, file }) =>
      file === null
        ? []
        : [{ params: { machine: result.environment.machineId, picture: name.replace(/\.png$/, '') }, props: { file } }],
    ),
  )

export const GET: APIRoute<{ file: string }> = ({ props }) => new Response(new Uint8Array(readFileSync(props.file)))
