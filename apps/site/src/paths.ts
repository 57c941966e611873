const base = import.meta.env.BASE_URL.replace(/\/$/, '')

/** A page's address under the folder that the site is served from; `path` begins at the site's root. */
export function href(path: string): string {
  return base + path
}

export function methodHref(id: string): string {
  return href(`/methods/${id}/`)
}

/** Where the pages keep a copy of a result's file. */
export function resultHref(machineId: string, key: string): string {
  return href(`/results/${machineId}/${key}.json`)
}

export function pictureHref(machineId: string, name: string): string {
  return href(`/results/${machineId}/${name}`)
}

export function arxivHref(id: string): string {
  return `https://arxiv.org/abs/${id}`
}
