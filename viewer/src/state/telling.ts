import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import type { Manifest, RunInfo } from '../data/types'
import { SELECTED } from './marks.svelte'

/** Which projection of which run is shown. */
export interface Shown {
  run: number
  name: string
  version: string
}

/** A bit a row, the first row the lowest of the first byte. */
export function selectedBits(state: Uint8Array): Uint8Array<ArrayBuffer> {
  const bits = new Uint8Array(Math.ceil(state.length / 8))
  for (let i = 0; i < state.length; ++i) if (state[i] & SELECTED) bits[i >> 3] |= 1 << (i & 7)
  return bits
}

/** Tells the server what is selected: one message at a time, and the newest last, whatever changes meanwhile. */
export class Telling {
  private waiting: { shown: Shown; bits: Uint8Array<ArrayBuffer> } | null = null
  private last = { about: '', bits: new Uint8Array(0) }
  private busy = false

  constructor(private readonly source: Source) {}

  /** To the notebook that the page is shown in, if it is: what is selected on the map in view. */
  show(manifest: Manifest | null, run: RunInfo | null, cloud: Cloud | null, state: Uint8Array): void {
    if (manifest?.selection && run && cloud) void this.tell({ run: run.id, name: cloud.name, version: cloud.version ?? '' }, state)
  }

  async tell(shown: Shown, state: Uint8Array): Promise<void> {
    this.waiting = { shown, bits: selectedBits(state) }
    if (this.busy) return
    this.busy = true
    while (this.waiting) {
      const { shown, bits } = this.waiting
      this.waiting = null
      const path = `runs/${shown.run}/projections/${shown.name}/selection`
      const about = `${path} ${shown.version}`
      if (about === this.last.about && bits.every((byte, i) => byte === this.last.bits[i])) continue
      this.last = { about, bits }
      try {
        await this.source.tell(path, bits, shown.version)
      } catch {
        // Whoever asked is gone, or the map was made anew: what is next is told whatever it is.
        this.last = { about: '', bits }
      }
    }
    this.busy = false
  }
}
