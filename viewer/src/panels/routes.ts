import type { RunInfo } from '../data/types'
import type { Coloring } from '../map/shaders'
import type { View } from '../state/view.svelte'

/** Which view of a run shows a claim. */
export interface Route {
  find: (run: RunInfo) => string | undefined
  color: Coloring
  dim: 2 | 3
  first?: boolean
  paths?: boolean
}

const named = (...names: string[]) => (run: RunInfo) =>
  names.find((name) => run.projections.some((p) => p.name === name && !p.info.constant))

const pair: Route = { find: named('attention-mlp-unit', 'attention-mlp-raw'), color: 'component', dim: 3 }
const places: Route = { find: named('positions-raw', 'repeat-positions-raw', 'positions-only-raw', 'position-table'), color: 'position', dim: 3 }
const layers: Route = { find: named('layer-paths'), color: 'layer', dim: 3, paths: true }
const norms: Route = { find: named('attention-mlp-raw'), color: 'norm', dim: 3, first: true }

export const findings: Record<string, Route> = {
  attn_mlp_separation: pair,
  attn_mlp_angles: pair,
  separation_onset: { ...pair, color: 'layer' },
  first_token_norm: norms,
  massive_coordinates: norms,
  anisotropy: norms,
  intrinsic_dimension: pair,
  position_share: places,
  position_helix: places,
  position_lattice: places,
  layer_paths: layers,
  layer_cka: layers,
}

export async function apply(view: View, route: Route, projection: string): Promise<void> {
  await view.openProjection(projection, { color: route.color, dim: route.dim, first: route.first ?? true, paths: route.paths ?? false })
  if (route.paths && view.cloud?.hasLayers) {
    // A handful of tokens spread over the positions, and their mean.
    const cloud = view.cloud
    const rows: number[] = []
    const last = cloud.layers[cloud.layers.length - 1]
    const of = Array.from({ length: cloud.n }, (_, i) => i).filter((i) => cloud.labels.layer[i] === last)
    const step = Math.max(1, Math.floor(of.length / 12))
    for (let i = 0; i < of.length; i += step) rows.push(...cloud.path(of[i]))
    view.select(rows, 'replace')
  }
}
