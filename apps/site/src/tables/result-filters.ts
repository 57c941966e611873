const filters = ['method', 'backend', 'machine', 'status'] as const

/** Makes the page's result tables sortable by their heads and filterable; the address keeps the state. */
export class ResultFilters extends HTMLElement {
  connectedCallback(): void {
    const tables = [...document.querySelectorAll<HTMLTableElement>('table[data-task]')]
    const form = this.querySelector('form')!
    const state = new URLSearchParams(location.search)
    for (const select of form.querySelectorAll('select')) {
      const wanted = state.get(select.name) ?? ''
      if ([...select.options].some((option) => option.value === wanted)) select.value = wanted
    }
    for (const table of tables) makeSortable(table)
    const [task, column, direction] = (state.get('sort') ?? '').split(':')
    const table = tables.find((candidate) => candidate.dataset.task === task)
    if (table && column) sort(table, column, direction === 'descending')
    form.addEventListener('change', () => {
      this.#filter(tables, form)
      remember(Object.fromEntries(filters.map((name) => [name, valueOf(form, name)])))
    })
    form.addEventListener('submit', (event) => event.preventDefault())
    this.hidden = false
    this.#filter(tables, form)
  }

  #filter(tables: readonly HTMLTableElement[], form: HTMLFormElement): void {
    const rows = tables.flatMap((table) => [...table.tBodies])
    for (const row of rows) {
      row.hidden = !filters.every((name) => {
        const wanted = valueOf(form, name)
        return wanted === '' || row.dataset[name]?.split(',').includes(wanted) === true
      })
    }
    const shown = rows.filter((row) => !row.hidden).length
    form.querySelector('output')!.value =
      shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`
  }
}

function valueOf(form: HTMLFormElement, name: string): string {
  return form.querySelector<HTMLSelectElement>(`select[name="${name}"]`)?.value ?? ''
}

/** Writes what is chosen into the address, so that a link to it shows the same. */
function remember(values: Readonly<Record<string, string>>): void {
  const url = new URL(location.href)
  for (const [name, value] of Object.entries(values)) {
    if (value === '') url.searchParams.delete(name)
    else url.searchParams.set(name, value)
  }
  history.replaceState(null, '', url)
}

function makeSortable(table: HTMLTableElement): void {
  for (const head of table.tHead!.querySelectorAll<HTMLTableCellElement>('th')) {
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => {
      const descending = head.getAttribute('aria-sort') === 'ascending'
      const column = head.dataset.column!
      sort(table, column, descending)
      remember({ sort: `${table.dataset.task}:${column}:${descending ? 'descending' : 'ascending'}` })
    })
  }
}

/** Sorts a table by a column; rows without a figure stay below. */
function sort(table: HTMLTableElement, column: string, descending: boolean): void {
  const heads = [...table.tHead!.querySelectorAll<HTMLTableCellElement>('th')]
  const place = heads.findIndex((head) => head.dataset.column === column)
  if (place < 0) return
  for (const head of heads) head.removeAttribute('aria-sort')
  heads[place]!.setAttribute('aria-sort', descending ? 'descending' : 'ascending')
  const numeric = heads[place]!.dataset.number !== undefined
  const valueIn = (row: HTMLTableSectionElement): string => row.rows[0]!.cells[place]!.dataset.value ?? ''
  const rows = [...table.tBodies].sort((a, b) => {
    const [x, y] = [valueIn(a), valueIn(b)]
    if (x === '' || y === '') return Number(x === '') - Number(y === '')
    const order = numeric ? Number(x) - Number(y) : x.localeCompare(y)
    return descending ? -order : order
  })
  table.append(...rows)
}
