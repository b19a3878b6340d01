import { loadAxes, loadCloud, type Cloud, type Tokens } from '../data/cloud'
import { mapOf } from '../data/others'
import type { Source } from '../data/source'
import type { ProjectionEntry, RunInfo } from '../data/types'
import type { Shared } from './url'

/** What a run opens with: what was asked for, other rows on a map's axes too, else the first one that tells something. */
export function firstProjection(run: RunInfo, asked = ''): string | undefined {
  const usable = run.projections.filter((p) => p.info.n_rows > 0)
  // Unit vectors show directions; raw ones are owned by whoever is loud.
  const telling = ({ info }: ProjectionEntry) => !info.constant && info.selection.normalize === 'unit' && info.selection.mean.length === 0
  if (usable.some((p) => p.name === mapOf(asked))) return asked
  return (usable.find(telling) ?? usable.find((p) => !p.info.constant) ?? usable[0])?.name
}

/** The component whose norms the heat map shows. */
export function heatOf(run: RunInfo, asked?: string): string {
  if (asked && run.norm_maps.includes(asked)) return asked
  return ['resid_post', 'mlp_out', 'attn_out'].find((c) => run.norm_maps.includes(c)) ?? run.norm_maps[0] ?? ''
}

/** Neither grown nor captured anew. */
export const sameRun = (a: RunInfo, b: RunInfo) => a.id === b.id && a.version === b.version && a.n_tokens === b.n_tokens

/** A cloud and, of other rows on a map's axes, that map, which says where the picture's middle is; either may be among those at hand. */
export async function loadMap(source: Source, tokens: Promise<Tokens>, run: RunInfo, entry: ProjectionEntry, name: string, axes: number[], known: (Cloud | null)[], bases: (Cloud | null)[]): Promise<[Cloud, Cloud | null]> {
  const one = async (name: string, known: (Cloud | null)[]) => {
    const cloud = known.find((c) => c?.name === name && c.run.id === run.id && c.version === entry.version)
    if (!cloud) return loadCloud(source, run, name, [...new Set(axes)], tokens)
    await loadAxes(source, cloud, axes)
    return cloud
  }
  return Promise.all([one(name, known), entry.name === name ? null : one(entry.name, bases)])
}

/** How one looks, without what is of one map's rows alone. */
export function lookKept({ projection: _p, hide: _h, layer: _l, pick: _i, search: _q, selected: _s, ...kept }: Shared): Shared {
  return { ...kept, beside: kept.beside === 'layers' ? '' : kept.beside }
}
