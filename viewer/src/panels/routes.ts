import type { ProjectionInfo, RunInfo } from '../data/types'
import type { Coloring } from '../map/shaders'
import type { View } from '../state/view.svelte'

/** Which view of a run shows a claim. */
export interface Route {
  find: (run: RunInfo) => string | undefined
  color: Coloring
  dim: 2 | 3
  first?: boolean
  paths?: boolean
  /** Where else the claim can be seen, should no projection show it. */
  elsewhere?: string
}

type Selection = ProjectionInfo['selection']
/**
 * A projection by its name in a study, or by what was projected: a run by itself has other names. `must`: what the claim
 * cannot be seen without, whatever the name.
 */
const shownBy = (names: string[], fits: (selection: Selection) => boolean, must: (selection: Selection) => boolean = () => true) => (run: RunInfo) => {
  const able = run.projections.filter((p) => !p.info.constant && p.info.n_rows > 0 && must(p.info.selection))
  return names.find((name) => able.some((p) => p.name === name)) ?? able.find((p) => p.info.method === 'pca' && fits(p.info.selection))?.name
}
const hasPair = ({ components, mean }: Selection) => components.includes('attn_out') && components.includes('mlp_out') && !mean.length
/** "0:" and ":7" begin with the first token, "1:" does not. */
const hasFirst = ({ positions }: Selection) => /^(0?:|0$)/.test(positions)
const averaged = ({ mean }: Selection) => mean.includes('samples')

const pair: Route = { find: shownBy(['attention-mlp-unit', 'attention-mlp-raw'], hasPair), color: 'component', dim: 3 }
const rawPair = (s: Selection) => hasPair(s) && s.normalize === 'none'
const raw: Route = { find: shownBy(['attention-mlp-raw'], rawPair), color: 'norm', dim: 3, first: true }
const norms: Route = { ...raw, find: shownBy(['attention-mlp-raw'], rawPair, hasFirst), elsewhere: 'the heat map, whose column at position 0 stands apart' }
const places: Route = { find: shownBy(['positions-unit', 'positions-raw', 'repeat-positions-raw', 'position-table', 'positions-only-raw'], averaged), color: 'position', dim: 3 }
const layers: Route = {
  find: shownBy(['layer-paths'], (s) => s.components.length === 1 && s.components[0] === 'resid_post' && !s.mean.includes('layers')),
  color: 'layer',
  dim: 3,
  paths: true,
}

export const findings: Record<string, Route> = {
  attn_mlp_separation: pair,
  attn_mlp_direction: pair,
  attn_mlp_overlap: pair,
  separation_by_depth: { ...pair, color: 'layer' },
  first_token_norm: norms,
  massive_activations: norms,
  rogue_dimensions: raw,
  anisotropy: raw,
  intrinsic_dimension: pair,
  position_share: places,
  position_helix: places,
  position_lattice: places,
  layer_paths: layers,
  spread_tighten: layers,
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
    view.marks.select(rows, 'replace')
  }
}
