import type { ProjectionEntry, RunInfo } from '../data/types'

/** What a run opens with: what was asked for, else the first one that tells something. */
export function firstProjection(run: RunInfo, asked?: string): ProjectionEntry | undefined {
  const usable = run.projections.filter((p) => p.info.n_rows > 0)
  // Unit vectors show directions; raw ones are owned by whoever is loud.
  const telling = ({ info }: ProjectionEntry) => !info.constant && info.selection.normalize === 'unit' && info.selection.mean.length === 0
  return usable.find((p) => p.name === asked) ?? usable.find(telling) ?? usable.find((p) => !p.info.constant) ?? usable[0]
}

/** The component whose norms the heat map shows. */
export function heatOf(run: RunInfo, asked?: string): string {
  if (asked && run.norm_maps.includes(asked)) return asked
  return ['resid_post', 'mlp_out', 'attn_out'].find((c) => run.norm_maps.includes(c)) ?? run.norm_maps[0] ?? ''
}

/** Neither grown nor captured anew. */
export const sameRun = (a: RunInfo, b: RunInfo) => a.id === b.id && a.version === b.version && a.n_tokens === b.n_tokens
