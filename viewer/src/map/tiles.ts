/** Points in view up to which each is drawn by itself on a flat map; of more, how many and of what colour there are. */
export const MOST_EXACT = 1_000_000

const SIDE = 64
/** The world's half: all but the outermost few points lie nearer (Places); those are in the tiles at the edge. */
const HALF = 1.5

const tileOf = (v: number) => Math.max(0, Math.min(SIDE - 1, Math.floor(((v + HALF) / (2 * HALF)) * SIDE)))

/** A rectangle of the flat world. */
export interface Rect {
  left: number
  bottom: number
  right: number
  top: number
}
/** Stretches of Tiles.order: [from, count]. */
export interface InView {
  ranges: [number, number][]
  n: number
}

/** Rows by where they lie on the flat map, so that only those in view are drawn. */
export class Tiles {
  /** Rows, tile by tile, the tiles from the left to the right and upwards. */
  readonly order: Uint32Array
  private readonly starts: Uint32Array

  /** positions: [n, 3]. */
  constructor(positions: Float32Array) {
    const n = positions.length / 3
    const tile = new Uint16Array(n)
    this.starts = new Uint32Array(SIDE * SIDE + 1)
    for (let i = 0; i < n; ++i) {
      tile[i] = SIDE * tileOf(positions[3 * i + 1]) + tileOf(positions[3 * i])
      ++this.starts[tile[i] + 1]
    }
    for (let t = 0; t < SIDE * SIDE; ++t) this.starts[t + 1] += this.starts[t]
    const next = this.starts.slice()
    this.order = new Uint32Array(n)
    for (let i = 0; i < n; ++i) this.order[next[tile[i]]++] = i
  }

  /** All that may lie in a rectangle, and what shares a tile with it. */
  within({ left, bottom, right, top }: Rect): InView {
    const ranges: [number, number][] = []
    let n = 0
    const [first, last] = [tileOf(left), tileOf(right)]
    for (let y = tileOf(bottom); y <= tileOf(top); ++y) {
      const from = this.starts[SIDE * y + first]
      const count = this.starts[SIDE * y + last + 1] - from
      n += count
      const before = ranges.at(-1)
      if (before && before[0] + before[1] === from) before[1] += count
      else if (count) ranges.push([from, count])
    }
    return { ranges, n }
  }
}
