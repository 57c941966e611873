type Positions = readonly (readonly [position: number, weight: number])[]

/** Along one axis: which input positions an output position is made of, and with which weights. */
export type Sources = (
  size: number,
  scale: number,
  i: number,
  alignCorners: boolean,
  halfPixelCenters: boolean,
) => Positions

/** The sources of nearest-neighbour resizing. */
export const nearest: Sources = (size, scale, i, alignCorners, halfPixelCenters) => {
  const position = scale * (halfPixelCenters ? i + 0.5 : i)
  return [[Math.min(size - 1, alignCorners ? Math.round(position) : Math.floor(position)), 1]]
}

/** The sources of bilinear resizing. */
export const bilinear: Sources = (size, scale, i, _alignCorners, halfPixelCenters) => {
  const position = halfPixelCenters ? scale * (i + 0.5) - 0.5 : scale * i
  const low = Math.max(0, Math.floor(position))
  const high = Math.min(size - 1, Math.ceil(position))
  // As in the forward pass, where a position before the first pixel has a negative fraction between two equal pixels.
  return [
    [low, 1 - (position - low)],
    [high, position - low],
  ]
}

/** The sources of every output position along one axis. */
export function sourcesAlong(
  sources: Sources,
  size: number,
  outSize: number,
  alignCorners: boolean,
  halfPixelCenters: boolean,
): Positions[] {
  const scale = alignCorners && outSize > 1 ? (size - 1) / (outSize - 1) : size / outSize
  return Array.from({ length: outSize }, (_, i) => sources(size, scale, i, alignCorners, halfPixelCenters))
}
