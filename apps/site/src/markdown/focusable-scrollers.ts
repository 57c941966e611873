interface Node {
  readonly tagName?: string
  readonly properties?: Record<string, unknown>
  readonly children?: readonly Node[]
}

/** Rehype plugin: formulas of their own line and tables scroll where they are too wide, so the keyboard must reach them. */
export function focusableScrollers(): (tree: Node) => void {
  return function visit(node: Node): void {
    const { className } = node.properties ?? {}
    if (node.tagName === 'table') Object.assign(node.properties!, { tabIndex: 0 })
    if (Array.isArray(className) && className.includes('katex-display'))
      Object.assign(node.properties!, { tabIndex: 0, role: 'group', ariaLabel: 'Formula' })
    node.children?.forEach(visit)
  }
}
