import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import type { ComparisonHeader } from '../data/types'
import { isSomewhere, type Places } from './places'
import type { Shared } from './url'

export interface Displaced {
  row: number
  /** In the full space, over the root mean square length of its site's rows. */
  share: number
}

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
  /** Layers of components by how far they moved, farthest first. */
  sites = $state.raw<ComparisonHeader['sites']>([])
  notes = $state.raw<string[]>([])
  /** [n, 3] in the world of the first run's; nowhere: no counterpart. */
  otherPositions: Float32Array | null = null
  /** Where those go at the next layer; null until it is asked for. */
  otherNext: Float32Array | null = null
  /** How far each row moved in the full space; NaN: it has no counterpart. */
  private moved: Float32Array | null = null
  /** The length that `share` is of, of each component's layers. */
  private lengths = new Map<string, number>()
  private cloud: Cloud | null = null

  constructor(private readonly source: Source) {}

  open(shared: Shared): void {
    this.other = shared.other ?? 0
    this.close()
  }
  close(): void {
    this.otherPositions = this.otherNext = this.moved = null
    this.matched = this.displacement = null
    this.sites = []
    this.notes = []
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
    const header = await this.source.json<ComparisonHeader>(base)
    const column = (name: string) => this.source.column(`${base}/${name}`, header.version).then((b) => new Float32Array(b))
    const [moved, ...columns] = await Promise.all([
      column('displacement'),
      ...axes.map((a, k) => (k === 2 && cloud.dims < 3 ? undefined : column(`axis${a}`))),
    ])
    if (!current()) return false
    this.cloud = cloud
    this.otherPositions = places.scaled(columns, cloud.n)
    this.moved = moved
    this.matched = header.n_matched
    this.sites = header.sites
    this.notes = header.notes
    this.lengths = new Map(header.sites.map((s) => [`${s.component}/${s.layer}`, s.length]))
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

  /** Where the second run's row is, `mix` of the way to its next layer; null: nowhere. */
  placeOf(row: number, mix: number): [number, number, number] | null {
    const { otherPositions: from, otherNext: to } = this
    if (!from || !isSomewhere(from[3 * row])) return null
    const along = (k: number) => from[3 * row + k] + (mix > 0 && to ? (to[3 * row + k] - from[3 * row + k]) * mix : 0)
    return [along(0), along(1), along(2)]
  }

  /** How far a row moved, absolute and as a share of its layer's length; null: it has no counterpart. */
  movedBy(row: number): { distance: number; share: number } | null {
    const { cloud, moved } = this
    if (!cloud || !moved || !(moved[row] >= 0)) return null
    return { distance: moved[row], share: moved[row] / (this.lengthAt(row) || NaN) }
  }
  private lengthAt(row: number): number {
    const { component, layer } = this.cloud!.labels
    return this.lengths.get(`${this.cloud!.components[component[row]]}/${layer[row]}`) ?? 0
  }

  /** The rows that moved farthest for their layer, one of each token, first positions left out. */
  mostDisplaced(most: number, visible: (row: number) => boolean): Displaced[] {
    const { cloud, moved } = this
    if (!cloud || !moved) return []
    const { component, layer, position, token } = cloud.labels
    const lengths = cloud.components.map((name) => {
      const of = new Map<number, number>()
      for (const s of this.sites) if (s.component === name) of.set(s.layer, s.length)
      return of
    })
    const long = cloud.run.length > 1
    // Some more than are wanted: of one token many rows may be among them.
    const keep = 40 * most
    let top: Displaced[] = []
    let least = 0
    for (let row = 0; row < cloud.n; ++row) {
      const share = moved[row] / (lengths[component[row]].get(layer[row]) || NaN)
      if (!(share > least) || (long && position[row] === 0) || !visible(row)) continue
      top.push({ row, share })
      if (top.length < 2 * keep) continue
      top = top.sort((a, b) => b.share - a.share).slice(0, keep)
      least = top[keep - 1].share
    }
    const seen = new Set<number>()
    return top
      .sort((a, b) => b.share - a.share || a.row - b.row)
      .filter(({ row }) => token[row] < 0 || (!seen.has(token[row]) && seen.add(token[row])))
      .slice(0, most)
  }
}
