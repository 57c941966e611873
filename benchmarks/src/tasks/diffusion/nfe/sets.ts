/** Sets in the plane whose scores are exact. */
export const setTitles = {
  ring: 'ring of Gaussians',
  moons: 'moons',
  rings: 'rings',
  checkerboard: 'checkerboard',
} as const
