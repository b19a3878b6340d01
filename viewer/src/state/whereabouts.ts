import type { Cloud } from '../data/cloud'
import type { Outlier, RunInfo } from '../data/types'
import { inRange } from './words'

const parts = (site: string) => {
  const match = /^blocks\.(\d+)\.(\w+)$/.exec(site)
  return match ? { component: match[2], layer: Number(match[1]) } : { component: site, layer: -1 }
}

/** Row of a token that stands out, at the very site where it does; -1: not on this map. */
export function rowOf(cloud: Cloud, { site, sequence, position }: Outlier): number {
  if (!site || sequence >= cloud.tokens.starts.length - 1) return -1
  return cloud.rowAt(site, cloud.tokens.starts[sequence] + position)
}

/** A row of the same token, wherever in the model: at the nearest layer, of the same component if there is one. */
export function kin(cloud: Cloud, { site, sequence, position }: Outlier): number {
  if (cloud.averages || sequence >= cloud.tokens.starts.length - 1) return -1
  const token = cloud.tokens.starts[sequence] + position
  const { component, layer } = parts(site ?? '')
  let best = -1
  let least = Infinity
  for (const [name, at] of cloud.header.segments) {
    const row = cloud.find(name, at, token)
    if (row < 0) continue
    const far = Math.abs(cloud.layerOf(at) - layer) + (name === component ? 0 : 1000)
    if (far < least) {
      least = far
      best = row
    }
  }
  return best
}

/** Projections of a run that may hold a token at a site, smallest first: from what was selected, before any is read. */
export function mapsOf(run: RunInfo, { site, sequence, position }: Outlier): string[] {
  const { component, layer } = parts(site ?? '')
  return run.projections
    .filter(({ info }) => {
      const s = info.selection
      return (
        !info.constant &&
        info.n_rows > 0 &&
        s.mean.length === 0 &&
        s.layer_order === 'given' &&
        (s.components.length === 0 || s.components.includes(component)) &&
        (layer < 0 || inRange(s.layers, layer, run.n_layers)) &&
        inRange(s.positions, position, run.length) &&
        inRange(s.sequences, sequence, run.n_sequences)
      )
    })
    .sort((a, b) => a.info.n_rows - b.info.n_rows)
    .map((p) => p.name)
}
