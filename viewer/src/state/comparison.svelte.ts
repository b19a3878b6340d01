import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import { isSomewhere, type Places } from './places'
import type { Shared } from './url'

/** A second run in the basis of the first. */
export class Comparison {
  /** How far the points are on their way to the second run, from 0 to 1. */
  other = $state(0)
  ghosts = $state(true)
  lines = $state(true)
  /** Rows with a counterpart; null: there is no second run on this map. */
  matched = $state<number | null>(null)
  /** Mean distance between the two on the axes shown, in the projection's units. */
  displacement = $state<number | null>(null)
  /** [n, 3] in the world of the first run's; nowhere: no counterpart. */
  otherPositions: Float32Array | null = null

  constructor(private readonly source: Source) {}

  open(shared: Shared): void {
    this.other = shared.other ?? 0
    this.close()
  }
  close(): void {
    this.otherPositions = null
    this.matched = this.displacement = null
  }

  shared(): Shared {
    return { other: this.other }
  }

  get ghostly(): boolean {
    return this.ghosts && this.otherPositions !== null && this.other < 1
  }

  /** False: no counterpart there, or `current` was over before it came. */
  async load(cloud: Cloud, axes: number[], places: Places, current: () => boolean): Promise<boolean> {
    this.close()
    if (cloud.info.method !== 'pca') return false
    const base = `counterpart/${cloud.name}`
    const header = await this.source.json<{ n_matched: number; version?: string }>(base)
    const columns = await Promise.all(
      axes.map((a, k) => (k === 2 && cloud.dims < 3 ? undefined : this.source.column(`${base}/axis${a}`, header.version).then((b) => new Float32Array(b)))),
    )
    if (!current()) return false
    this.otherPositions = places.scaled(columns, cloud.n)
    this.matched = header.n_matched
    let sum = 0
    let n = 0
    for (let i = 0; i < cloud.n; ++i) {
      if (!isSomewhere(this.otherPositions[3 * i])) continue
      let d = 0
      for (let k = 0; k < 3; ++k) d += (this.otherPositions[3 * i + k] - places.positions[3 * i + k]) ** 2
      sum += Math.sqrt(d)
      ++n
    }
    this.displacement = n ? (sum / n) * places.scale : null
    return true
  }
}
