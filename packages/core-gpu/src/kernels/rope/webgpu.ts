import type { Kernel } from '../registry.ts'
import { makeTensor, runProgram } from '../webgpu-program.ts'
import type { RotaryAttributes } from './rope.ts'

/** XRotary: one invocation for each element. Floor: 3 operations and 8 bytes moved for each, and the tables once. */
export const rotaryWebgpu: Kernel = ({ x, cos, sin }, attributes, backend) => {
  const { interleaved, start, direction } = attributes as unknown as RotaryAttributes
  const [length, d] = x!.shape.slice(-2) as [number, number]
  const turned = makeTensor(backend, x!.shape)
  runProgram(backend, {
    name: 'rotary',
    reads: { x: x!, cosines: cos!, sines: sin! },
    writes: { turned },
    sizes: { count: x!.size, length, d, first: start, pairs: cos!.shape[1]! },
    numbers: { direction },
    workgroups: Math.ceil(x!.size / 256),
    main: `
      let at = group * 256u + lane;
      if (at >= u.count) { return; }
      let place = at % u.d - u.first; // huge before the first
      if (place >= 2u * u.pairs) {
        turned[at] = x[at];
        return;
      }
      ${
        interleaved
          ? `let pair = place / 2u;
      let isSecond = place % 2u == 1u;
      let apart = 1u;`
          : `let pair = place % u.pairs;
      let isSecond = place >= u.pairs;
      let apart = u.pairs;`
      }
      let entry = (at / u.d) % u.length * u.pairs + pair;
      let other = x[select(at + apart, at - apart, isSecond)];
      let sine = select(-u.direction, u.direction, isSecond) * sines[entry];
      turned[at] = fma(x[at], cosines[entry], other * sine);`,
  })
  return turned
}
