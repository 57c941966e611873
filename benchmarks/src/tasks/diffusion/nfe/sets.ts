import { checkerboard, type GaussianMixture, gaussianRing, moons, rings } from '@x/diffusion'

/** Sets in the plane whose scores are exact. */
export const sets: Readonly<Record<string, { readonly title: string; readonly make: () => GaussianMixture }>> = {
  ring: { title: 'ring of Gaussians', make: () => gaussianRing() },
  moons: { title: 'moons', make: () => moons() },
  rings: { title: 'rings', make: () => rings() },
  checkerboard: { title: 'checkerboard', make: () => checkerboard({ noise: 0.125 }) },
}
