import { describe, expect, it } from 'vitest'
import type { Outlier, RunInfo } from '../../../src/data/types'
import { kin, mapsOf, rowOf } from '../../../src/state/whereabouts'
import { holds, inRange, verdictWords } from '../../../src/state/words'
import { cloud } from './example'

const at = (site: string, sequence: number, position: number): Outlier => ({ site, sequence, position, score: 5 })

describe('where a token that stands out is', () => {
  it('is the row at its very site', () => {
    expect(rowOf(cloud(), at('blocks.1.attn_out', 1, 1))).toBe(6 + 5)
    expect(rowOf(cloud(), at('blocks.1.mlp_out', 1, 1))).toBe(-1)
    expect(rowOf(cloud(), at('blocks.1.attn_out', 7, 1))).toBe(-1)
  })
  it('is else a row of the same token, at the nearest layer', () => {
    expect(kin(cloud(), at('blocks.9.mlp_out', 0, 2))).toBe(12 + 2)
    expect(kin(cloud(), at('blocks.0.mlp_out', 0, 2))).toBe(2)
    expect(kin(cloud({ averages: true }), at('blocks.0.attn_out', 0, 2))).toBe(-1)
  })
  it('may be on maps whose selection holds it, the smallest first', () => {
    const map = (name: string, selection: object, n_rows = 9) => ({
      name,
      info: { n_rows, selection: { components: [], layers: ':', positions: ':', sequences: ':', mean: [], layer_order: 'given', ...selection } },
    })
    const run = {
      n_layers: 4,
      length: 8,
      n_sequences: 2,
      projections: [map('all', {}, 50), map('late', { positions: '5:' }), map('mlp', { components: ['mlp_out'] }), map('mean', { mean: ['samples'] }), map('deep', { layers: '2:' }), map('last', { positions: '-4:' })],
    } as unknown as RunInfo
    expect(mapsOf(run, at('blocks.1.attn_out', 0, 4))).toEqual(['last', 'all'])
    expect(mapsOf(run, at('blocks.3.mlp_out', 0, 3))).toEqual(['mlp', 'deep', 'all'])
  })
})

describe('words', () => {
  it('read ranges as the command line does', () => {
    expect([':', '0:', '3', '2:4', '-5:', ':-4'].map((range) => inRange(range, 3, 8))).toEqual([true, true, true, true, true, true])
    expect(['4:', '2', ':3', '-4:'].map((range) => inRange(range, 3, 8))).toEqual([false, false, false, false])
  })
  it('take a verdict as it comes', () => {
    expect(['holds', 'holds, as in an untrained twin', 'absent', 'undecided', 'not measurable'].map(holds)).toEqual([true, true, false, false, false])
    expect(verdictWords('holds_as_in_twin')).toBe('holds as in twin')
  })
})
