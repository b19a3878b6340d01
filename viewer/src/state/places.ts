import type { Cloud } from '../data/cloud'

/** A place outside the world: the shader leaves it out. */
export const NOWHERE = 1e30
export const isSomewhere = (coordinate: number) => coordinate < NOWHERE / 2

/** Places one after another, [n, 3]. */
export function flat(places: ArrayLike<number>[]): Float32Array {
  const out = new Float32Array(3 * places.length)
  places.forEach((place, i) => out.set(place, 3 * i))
  return out
}

/** Where points lie: three axes of a cloud, scaled so that all but the outermost 0.4 % fit the picture. */
export class Places {
  /** [n, 3] */
  positions: Float32Array = new Float32Array(0)
  /** [n, 3]: each row's token at the next layer; null until it is asked for. */
  next: Float32Array | null = null
  scale = 1
  private rows: Int32Array = new Int32Array(0)
  private center = [0, 0, 0]

  /** `of`: the cloud that says what fits the picture, where this one lies on its axes. */
  open(cloud: Cloud, axes: number[], of: Cloud = cloud): void {
    const columnsOf = (which: Cloud) => axes.map((a, k) => (k === 2 && which.dims < 3 ? undefined : which.axis(a)))
    this.scale = 0
    this.center = [0, 0, 0]
    const step = Math.max(1, Math.floor(of.n / 40_000))
    columnsOf(of).forEach((column, k) => {
      if (!column) return
      const sample: number[] = []
      for (let i = 0; i < of.n; i += step) if (of.labels.position[i] !== 0) sample.push(column[i])
      if (!sample.length) sample.push(...column.subarray(0, 1000))
      const sorted = Float32Array.from(sample).sort()
      const low = sorted[Math.floor(0.002 * (sorted.length - 1))]
      const high = sorted[Math.ceil(0.998 * (sorted.length - 1))]
      this.center[k] = (low + high) / 2
      this.scale = Math.max(this.scale, (high - low) / 2)
    })
    if (!(this.scale > 0)) this.scale = 1
    this.positions = this.scaled(columnsOf(cloud), cloud.n)
    this.next = null
  }

  /** Columns of the projection in this world, [n, 3]; what is not a number is nowhere. */
  scaled(columns: (Float32Array | undefined)[], n: number): Float32Array {
    const out = new Float32Array(3 * n)
    for (let k = 0; k < 3; ++k) {
      const column = columns[k]
      if (!column) continue
      const middle = this.center[k]
      for (let i = 0; i < n; ++i) {
        const value = (column[i] - middle) / this.scale
        out[3 * i + k] = value === value ? value : NOWHERE
      }
    }
    return out
  }

  /** What a world coordinate is in the projection's own units. */
  unscaled(k: number, value: number): number {
    return value * this.scale + this.center[k]
  }

  /** Finds where each row goes at the next layer. */
  findNext(cloud: Cloud): Float32Array {
    this.rows = cloud.nextRows()
    return (this.next = this.following(this.positions))
  }
  /** Of places of the same rows: where each goes at the next layer; it stays where that is nowhere. After findNext(). */
  following(positions: Float32Array): Float32Array {
    const next = new Float32Array(positions.length)
    for (let i = 0; i < this.rows.length; ++i) {
      const row = isSomewhere(positions[3 * this.rows[i]]) ? this.rows[i] : i
      for (let k = 0; k < 3; ++k) next[3 * i + k] = positions[3 * row + k]
    }
    return next
  }

  /** Where a row is on its way to the next layer and to its counterpart, each from 0 to 1. */
  at(row: number, mix: number, other: number, otherPositions: Float32Array | null): [number, number, number] {
    const along = (k: number) => {
      let v = this.positions[3 * row + k]
      if (mix > 0 && this.next) v += (this.next[3 * row + k] - v) * mix
      if (other > 0 && otherPositions) v += (otherPositions[3 * row + k] - v) * other
      return v
    }
    return [along(0), along(1), along(2)]
  }
}
