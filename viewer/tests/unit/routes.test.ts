import { describe, expect, it } from 'vitest'
import type { RunInfo } from '../../src/data/types'
import { differs, findings, wanted } from '../../src/panels/routes'
import { cloud } from './state/example'

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
    expect(findings.first_token_norm.heat).toBe(true)
    for (const positions of [':', '0:', ':8', '0']) expect(findings.first_token_norm.find(run(without, projection('mine', { positions }))), positions).toBe('mine')
    expect(findings.rogue_dimensions.find(run(without))).toBe('attention-mlp-raw')
  })
  it('of the stream is the stream’s, where there is one', () => {
    const stream = projection('stream', { components: ['resid_post'] })
    expect(findings.anisotropy.find(run(projection('attention-mlp-raw', {}), stream))).toBe('stream')
    expect(findings.layer_cka.find(run(projection('attention-mlp-raw', {})))).toBeUndefined()
  })
  it('of paths is of single tokens and whole, before it is of averages', () => {
    const averages = projection('layer-paths', { components: ['resid_post'], mean: ['samples'] }, { n_candidates: 9 })
    const torn = projection('torn', { components: ['resid_post'] }, { n_candidates: 90 })
    const whole = projection('whole', { components: ['resid_post'] }, { n_candidates: 9 })
    expect(findings.layer_paths.find(run(averages, torn, whole))).toBe('whole')
    expect(findings.layer_paths.find(run(torn, averages))).toBe('layer-paths')
    expect(findings.layer_paths.find(run(torn))).toBe('torn')
  })
  it('is none that has nothing to draw', () => {
    expect(findings.anisotropy.find(run(projection('a', {}, { constant: true }), projection('b', {}, { n_rows: 0 })))).toBeUndefined()
  })
})

describe('what a map shows instead of what was measured', () => {
  const shown = (info: object, header: object = {}) => cloud(header, { n_candidates: 18, ...info } as never)
  it('is said: averages, another component, no first token, a sample', () => {
    const selection = { components: ['attn_out', 'mlp_out'], mean: [] }
    expect(differs(findings.attn_mlp_separation, shown({ selection }))).toBe('')
    expect(differs(findings.anisotropy, shown({ selection }))).toMatch(/shows attn_out and mlp_out, the number is of the residual stream/)
    const stream = { components: ['resid_post'], mean: ['samples'] }
    expect(differs(findings.layer_paths, shown({ selection: stream }, { averages: true }))).toMatch(/averages over texts, the number is of single tokens/)
    expect(differs(findings.position_share, shown({ selection: stream }))).toBe('')
    expect(differs(findings.layer_paths, shown({ selection: { ...stream, mean: [] }, n_candidates: 99 }))).toMatch(/sample of 18 of 99/)
  })
})

describe('a map to be made', () => {
  const keeps = (...components: string[]) => ({ components, length: 9, projections: [{ name: 'stream-raw' }] }) as unknown as RunInfo
  it('is of the claim’s rows, under a name that is free', () => {
    expect(wanted(findings.anisotropy, keeps('resid_post'))).toMatchObject({ name: 'stream-raw-2', selection: { components: ['resid_post'], positions: '1:', normalize: 'none', mean: [] } })
    expect(wanted(findings.first_token_norm, keeps('resid_post'))).toMatchObject({ selection: { positions: ':' } })
    expect(wanted(findings.position_helix, keeps('resid_post'))).toMatchObject({ selection: { mean: ['samples'] } })
    expect(wanted(findings.attn_mlp_separation, keeps('resid_post'))).toBeUndefined()
  })
})
