import type { CacheSizes } from './cache-sizes.ts'
import { describeBytes, describeChoice } from './describe.ts'

/** Fills the table anew when something else is chosen. */
export class CacheCalculator extends HTMLElement {
  connectedCallback(): void {
    const sizes = JSON.parse(this.dataset['sizes'] ?? '{}') as CacheSizes
    const form = this.querySelector('form')!
    form.hidden = false
    form.addEventListener('input', () => this.#fill(sizes, new FormData(form)))
  }

  #fill({ models, bytes }: CacheSizes, chosen: FormData): void {
    const text = (name: string): string => String(chosen.get(name))
    const whole = (name: string): number => Math.max(1, Math.floor(Number(text(name))) || 1)
    const [model, storage] = [text('model'), text('storage')]
    const [context, batch] = [whole('context'), whole('batch')]
    const { layers, title } = models.find(({ id }) => id === model)!
    this.querySelector('caption')!.textContent = describeChoice({ model: title, context, batch, storage })
    for (const row of this.querySelectorAll<HTMLElement>('tr[data-variant]')) {
      const perToken = layers * bytes[model]![row.dataset['variant']!]![storage]!
      const [token, all] = row.querySelectorAll('td')
      token!.textContent = describeBytes(perToken)
      all!.textContent = describeBytes(perToken * context * batch)
    }
  }
}
