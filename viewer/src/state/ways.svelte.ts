import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import type { WayHeader } from '../data/types'
import type { Places } from './places'

/** A token's way through all layers that the run keeps, asked for where the map lacks some of them. */
export class Ways {
  whole = $state.raw<WayHeader | null>(null)
  busy = $state(false)
  /** [layers, 3] in the map's world. */
  positions: Float32Array = new Float32Array(0)
  private asked = 0

  constructor(
    private readonly source: Source,
    private readonly changed: () => void,
  ) {}

  clear(): void {
    ++this.asked
    this.busy = false
    if (!this.whole) return
    this.whole = null
    this.changed()
  }

  /** Rejects where the run lacks it, or the map was made anew meanwhile. */
  async fetch(cloud: Cloud, row: number, axes: number[], places: Places): Promise<WayHeader | null> {
    const { component, token } = cloud.labels
    const asked = ++this.asked
    this.busy = true
    try {
      const whole = await this.source.json<WayHeader>(`${cloud.base}/way?token=${token[row]}&component=${cloud.components[component[row]]}`, cloud.version)
      if (asked !== this.asked) return null
      this.whole = whole
      this.place(cloud, axes, places)
      this.changed()
      return whole
    } finally {
      if (asked === this.asked) this.busy = false
    }
  }

  /** Other axes of the same map are in view. */
  place(cloud: Cloud, axes: number[], places: Places): void {
    const { whole } = this
    if (!whole) return
    const column = (a: number) => Float32Array.from(whole.points, (point) => point[a])
    this.positions = places.scaled(
      axes.map((a, k) => (k === 2 && cloud.dims < 3 ? undefined : column(a))),
      whole.layers.length,
    )
  }
}
