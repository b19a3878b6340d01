import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import type { Filter } from '../select/visible'
import type { Shared } from './url'

export const NEIGHBORS = 10

export interface Neighbors {
  rows: number[]
  distances: number[]
  searched?: number
}

/** What the picked point's neighbours on the map are found by: the worker. */
export interface MapSearch {
  nearest(row: number, k: number, dims: number, filter: Filter): Promise<{ rows: number[]; distances: number[] }>
}

/** The point under the pointer, and the one that is looked at with its nearest neighbours. */
export class Picking {
  picked = $state(-1)
  hovered = $state(-1)
  near = $state.raw<{ row: number; full: Neighbors | null; map: Neighbors | null; error: string } | null>(null)
  private cloud: Cloud | null = null

  /** `shown`: what is drawn of the map just now. */
  constructor(
    private readonly source: Source,
    private readonly search: MapSearch,
    private readonly shown: () => { dim: number; filter: Filter },
    private readonly changed: () => void,
  ) {}

  open(cloud: Cloud): void {
    this.cloud = cloud
    this.picked = this.hovered = -1
    this.near = null
  }

  restore(shared: Shared): void {
    if (shared.pick !== undefined && shared.pick >= 0 && shared.pick < this.cloud!.n) void this.pick(shared.pick)
  }

  shared(): Shared {
    return { pick: this.picked }
  }

  hover(row: number): void {
    if (row === this.hovered) return
    this.hovered = row
    this.changed()
  }

  clear(): void {
    this.picked = -1
    this.near = null
    this.changed()
  }

  async pick(row: number): Promise<void> {
    this.picked = row
    this.near = null
    this.changed()
    const cloud = this.cloud
    if (row < 0 || !cloud) return
    const mine = { row, full: null as Neighbors | null, map: null as Neighbors | null, error: '' }
    const show = () => {
      if (this.picked !== row || cloud !== this.cloud) return
      this.near = { ...mine }
      this.changed()
    }
    const { dim, filter } = this.shown()
    const onMap = this.search.nearest(row, NEIGHBORS, dim, filter).then((map) => {
      mine.map = map
      show()
    })
    const inSpace = this.source.live
      ? this.source
          .json<{ rows: number[]; distances: number[]; n_searched: number }>(`${cloud.base}/nearest?row=${row}&k=${NEIGHBORS}`, cloud.version)
          .then(
            (a) => {
              mine.full = { rows: a.rows, distances: a.distances, searched: a.n_searched }
              show()
            },
            (error: Error) => {
              mine.error = error.message
              show()
            },
          )
      : Promise.resolve()
    await Promise.all([onMap, inSpace])
  }
}
