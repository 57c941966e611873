interface Node {
  readonly properties?: Record<string, unknown>
  readonly children?: readonly Node[]
}

/** Rehype plugin: a formula of its own line scrolls where it is too wide, so the keyboard must reach it. */
export function focusableFormulas(): (tree: Node) => void {
  return function visit(node: Node): void {
    const { className } = node.properties ?? {}
    if (Array.isArray(className) && className.includes('katex-display'))
      Object.assign(node.properties!, { tabIndex: 0, role: 'group', ariaLabel: 'Formula' })
    node.children?.forEach(visit)
  }
}
