import type { Cloud } from '../data/cloud'
import type { ProjectionInfo, RunInfo } from '../data/types'
import type { Coloring } from '../map/shaders'
import type { View } from '../state/view.svelte'

type Selection = ProjectionInfo['selection']

/** Which view of a run shows a claim. */
export interface Route {
  /** A map of this claim's own rows, else the nearest to them that the run has. */
  find: (run: RunInfo) => string | undefined
  color: Coloring
  dim: 2 | 3
  first?: boolean
  paths?: boolean
  /** What the claim is about. A map of something else is said to be one. */
  of: { what: 'pair' | 'stream'; averages?: boolean; first?: boolean; places?: boolean }
  /** The heat map of norms shows it, should no projection do so. */
  heat?: boolean
  /** What of the number this map cannot show in any case. */
  besides?: string
}

const STREAM = ['resid_post', 'resid_mid', 'resid_pre']
const isStream = ({ components }: Selection) => components.length > 0 && components.every((c) => STREAM.includes(c))
const hasPair = ({ components }: Selection) => components.includes('attn_out') && components.includes('mlp_out')
/** "0:" and ":7" begin with the first token, "1:" does not. */
const hasFirst = ({ positions }: Selection) => /^(0?:|0$)/.test(positions)
const averaged = ({ mean }: Selection) => mean.includes('samples')
const ofTokens = ({ mean }: Selection) => mean.length === 0

type Test = (selection: Selection, info: ProjectionInfo) => boolean
/** The first of these that a projection with something to draw meets: a name in a study, or what was projected. */
const shownBy =
  (...wanted: (string | Test)[]) =>
  (run: RunInfo) => {
    const able = run.projections.filter((p) => !p.info.constant && p.info.n_rows > 0)
    for (const one of wanted) {
      const found = able.find((p) => (typeof one === 'string' ? p.name === one : p.info.method === 'pca' && one(p.info.selection, p.info)))
      if (found) return found.name
    }
    return undefined
  }

const rawPair: Test = (s) => hasPair(s) && ofTokens(s) && s.normalize === 'none'
const rawStream: Test = (s) => isStream(s) && ofTokens(s) && s.normalize === 'none'
const wholeStream: Test = (s, info) => isStream(s) && s.components.length === 1 && ofTokens(s) && info.n_rows === info.n_candidates

const pair: Route = {
  find: shownBy('attention-mlp-unit', 'attention-mlp-raw', (s) => hasPair(s) && ofTokens(s)),
  color: 'component',
  dim: 3,
  of: { what: 'pair' },
}
const raw: Route = { find: shownBy(rawStream, 'attention-mlp-raw', rawPair), color: 'norm', dim: 3, first: true, of: { what: 'stream' } }
const stream: Route = { find: shownBy((s) => isStream(s) && ofTokens(s), 'layer-paths', isStream), color: 'layer', dim: 3, of: { what: 'stream' } }
const norms: Route = {
  ...raw,
  find: shownBy((s, info) => rawStream(s, info) && hasFirst(s), (s, info) => rawPair(s, info) && hasFirst(s)),
  of: { what: 'stream', first: true },
  heat: true,
}
const places: Route = {
  find: shownBy('positions-unit', 'positions-raw', 'repeat-positions-raw', 'position-table', 'positions-only-raw', averaged),
  color: 'position',
  dim: 3,
  of: { what: 'stream', averages: true, places: true },
}
const layers: Route = {
  find: shownBy(wholeStream, 'layer-paths', (s) => isStream(s) && s.components.length === 1 && !s.mean.includes('layers')),
  color: 'layer',
  dim: 3,
  paths: true,
  of: { what: 'stream' },
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
  intrinsic_dimension: stream,
  position_share: places,
  position_helix: places,
  position_lattice: places,
  rope_share: { ...places, besides: 'The number compares this run with one without rotation, which this map does not show.' },
  layer_paths: layers,
  spread_tighten: layers,
  layer_cka: stream,
}

/** In what the map differs from what the claim is about; empty: in nothing. */
export function differs(route: Route, cloud: Cloud): string {
  const { selection } = cloud.info
  const said: string[] = []
  if (route.of.what === 'stream' && !route.of.places && !isStream(selection)) said.push(`this map shows ${selection.components.join(' and ') || 'all components'}, the number is of the residual stream`)
  if (!route.of.averages && cloud.averages) said.push('the points of this map are averages over texts, the number is of single tokens')
  if (route.of.first && !cloud.labels.position.includes(0)) said.push('this map has no first tokens')
  if (cloud.n < cloud.info.n_candidates) said.push(`this map is a sample of ${cloud.n} of ${cloud.info.n_candidates} rows`)
  const text = said.join('; ')
  return [text && text[0].toUpperCase() + text.slice(1) + '.', route.besides].filter(Boolean).join(' ')
}

/** What to ask the server for, so that a map shows the claim; nothing: the run keeps no such vectors. */
export function wanted(route: Route, run: RunInfo): { name: string; dims: number; selection: Record<string, unknown> } | undefined {
  const component = STREAM.find((c) => run.components.includes(c))
  const components = route.of.what === 'pair' ? ['attn_out', 'mlp_out'] : component ? [component] : []
  if (!components.length || !components.every((c) => run.components.includes(c))) return undefined
  const unit = route === pair || route.of.places || route.paths
  const parts = [route.of.what === 'pair' ? 'attention-mlp' : 'stream', route.of.places ? 'positions' : '', unit ? 'unit' : 'raw', route.of.first ? 'first' : '']
  const base = parts.filter(Boolean).join('-')
  let name = base
  for (let i = 2; run.projections.some((p) => p.name === name); ++i) name = `${base}-${i}`
  const positions = route.of.first || run.length < 2 ? ':' : '1:'
  return { name, dims: 6, selection: { components, layers: ':', positions, normalize: unit ? 'unit' : 'none', mean: route.of.averages ? ['samples'] : [], rows: 20_000 } }
}

/** Takes the page to the claim: to a map of it, or to the heat map. False: the run has neither. */
export async function apply(view: View, route: Route): Promise<boolean> {
  const projection = view.run && route.find(view.run)
  if (!projection) {
    if (!route.heat || !view.run?.norm_maps.length) return false
    view.heat = ['resid_post', 'resid_mid', 'resid_pre'].find((c) => view.run!.norm_maps.includes(c)) ?? view.heat
    view.notices.light('heat')
    return true
  }
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
  return true
}
