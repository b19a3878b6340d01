import type { Cloud } from '../data/cloud'
import type { Part } from '../map/cells'
import type { Shared } from './url'

/** Pictures that are told apart on one screen. */
export const MOST_BESIDE = 40

/** Several pictures from one camera: a layer each, or a run each; '': one picture. */
export class Beside {
  mode = $state<NonNullable<Shared['beside']>>('')

  /** Two runs stay side by side from map to map; layers are asked for anew. */
  open(cloud: Cloud, shared: Shared): void {
    const mode = shared.beside ?? (this.mode === 'runs' ? 'runs' : '')
    this.mode = mode === 'layers' && !cloud.hasLayers ? '' : mode
  }
  shared(): Shared {
    return { beside: this.mode }
  }

  get layers(): boolean {
    return this.mode === 'layers'
  }
  get runs(): boolean {
    return this.mode === 'runs'
  }

  /** What is drawn side by side: layers, evenly some of many; or both runs, once the second one has places. */
  parts(cloud: Cloud | null, second: boolean): Part[] {
    if (this.runs) return second ? [{ layer: -1, side: 0 }, { layer: -1, side: 1 }] : []
    if (!this.layers || !cloud) return []
    const { layers } = cloud
    const step = Math.max(1, (layers.length - 1) / (MOST_BESIDE - 1))
    const parts: Part[] = []
    for (let i = 0; i < layers.length - 0.5; i += step) parts.push({ layer: layers[Math.round(i)], side: 0 })
    return parts
  }
}
