interface Node {
  readonly tagName?: string
  readonly properties?: Record<string, unknown>
  readonly children?: readonly Node[]
}

/** Rehype plugin: links that begin at the site's root (`/claims/`) follow the site to the folder it is served from. */
export function prefixLinks(options: { readonly base: string }): (tree: Node) => void {
  const base = options.base.replace(/\/$/, '')
  return function visit(node: Node): void {
    const href = node.properties?.href
    if (node.tagName === 'a' && typeof href === 'string' && /^\/(?!\/)/.test(href)) node.properties!.href = base + href
    node.children?.forEach(visit)
  }
}
