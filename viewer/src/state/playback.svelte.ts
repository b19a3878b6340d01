import type { Cloud } from '../data/cloud'
import type { Shared } from './url'

const LAYER_SECONDS = 1.1

/** Layers one at a time, and the way from one to the next. */
export class Playback {
  /** The layer that is shown, by the number it is shown under; -1: all. */
  layer = $state(-1)
  /** How far the points are on their way to the next layer, from 0 to 1. */
  mix = $state(0)
  playing = $state(false)
  private cloud: Cloud | null = null
  private lastTick = 0
  private progress = 0

  /** `changed`: another layer is shown. `calm`: steps, no movement. */
  constructor(
    private readonly changed: () => void,
    private readonly calm: () => boolean,
  ) {}

  open(cloud: Cloud): void {
    this.cloud = cloud
    this.playing = false
    this.layer = -1
    this.mix = this.progress = 0
  }

  restore(shared: Shared): void {
    if (shared.layer !== undefined && this.cloud?.layers.includes(shared.layer)) this.setLayer(shared.layer)
  }

  shared(): Shared {
    return { layer: this.layer }
  }

  setLayer(layer: number): void {
    this.layer = layer
    this.mix = this.progress = 0
    this.changed()
  }

  stepLayer(by: number): void {
    const cloud = this.cloud
    if (!cloud?.hasLayers) return
    this.stopPlaying()
    const at = cloud.layers.indexOf(this.layer)
    const to = at < 0 ? (by > 0 ? 0 : cloud.layers.length - 1) : at + by
    if (to >= 0 && to < cloud.layers.length) this.setLayer(cloud.layers[to])
  }

  play(): void {
    const cloud = this.cloud
    if (!cloud?.hasLayers) return
    if (this.playing) return this.stopPlaying()
    this.playing = true
    this.lastTick = 0
    if (this.layer < 0 || this.layer === cloud.layers.at(-1)) this.setLayer(cloud.layers[0])
    else this.changed()
  }

  stopPlaying(): void {
    this.playing = false
  }

  /** Once a frame, with its time in milliseconds. */
  tick(now: number): void {
    const cloud = this.cloud
    if (!this.playing || !cloud) return
    const seconds = this.lastTick ? Math.min(0.1, (now - this.lastTick) / 1000) : 0
    this.lastTick = now
    this.progress += seconds / LAYER_SECONDS
    const t = Math.min(1, this.progress)
    this.mix = this.calm() ? 0 : t * t * (3 - 2 * t)
    if (this.progress < 1) return
    this.progress = 0
    const at = cloud.layers.indexOf(this.layer)
    this.setLayer(cloud.layers[at + 1])
    if (at + 2 >= cloud.layers.length) this.stopPlaying()
  }
}
