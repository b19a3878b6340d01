import { describe, expect, it } from 'vitest'
import type { RunInfo } from '../../src/data/types'
import { findings } from '../../src/panels/routes'

const projection = (name: string, selection: object, info = {}) => ({
  name,
  info: { method: 'pca', n_rows: 9, ...info, selection: { components: ['attn_out', 'mlp_out'], normalize: 'none', mean: [], positions: '0:', ...selection } },
})
const run = (...projections: unknown[]) => ({ projections }) as unknown as RunInfo

describe('the view that shows a finding', () => {
  it('is the study’s own by name, else one of the same rows', () => {
    expect(findings.attn_mlp_separation.find(run(projection('mine', {}), projection('attention-mlp-unit', {})))).toBe('attention-mlp-unit')
    expect(findings.attn_mlp_separation.find(run(projection('mine', {})))).toBe('mine')
    expect(findings.attn_mlp_separation.find(run(projection('mine', {}, { method: 'umap' })))).toBeUndefined()
  })
  it('of the first token’s norm has first tokens', () => {
    const without = projection('attention-mlp-raw', { positions: '1:' })
    expect(findings.first_token_norm.find(run(without))).toBeUndefined()
    expect(findings.first_token_norm.elsewhere).toMatch(/heat map/)
    for (const positions of [':', '0:', ':8', '0']) expect(findings.first_token_norm.find(run(without, projection('mine', { positions }))), positions).toBe('mine')
    expect(findings.rogue_dimensions.find(run(without))).toBe('attention-mlp-raw')
  })
  it('is none that has nothing to draw', () => {
    expect(findings.anisotropy.find(run(projection('a', {}, { constant: true }), projection('b', {}, { n_rows: 0 })))).toBeUndefined()
  })
})
