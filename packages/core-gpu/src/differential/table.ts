import type { Published, PublishedOperation } from './findings.ts'

const backends = ['cpu', 'wasm', 'webgpu', 'tensorflow']

/** The tables of operations and backends in Markdown, one for each kind of operation. */
export function operationTables(findings: Readonly<Record<string, PublishedOperation>>): string {
  const kinds = [...new Set(Object.values(findings).map(({ kind }) => kind))]
  return kinds
    .map((kind) => {
      const rows = Object.entries(findings)
        .filter(([, operation]) => operation.kind === kind)
        .map(([name, operation]) =>
          row([`\`${name}\``, ...backends.map((backend) => cell(operation.backends[backend]))]),
        )
      const head = [row(['Operation', ...backends]), row(['---', ...backends.map(() => '---')])]
      return [`## ${kind[0]!.toUpperCase()}${kind.slice(1)}`, '', ...head, ...rows].join('\n')
    })
    .join('\n\n')
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function cell(published: Published | undefined): string {
  return published ? `${published.forward}, ${published.gradient}` : 'not run'
}
