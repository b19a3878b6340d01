import { describe, expect, it } from 'vitest'
import { firstProjection, heatOf, sameRun } from '../../../src/state/opening'
import { grouped, seen, short } from '../../../src/state/words'
import { run } from './example'

describe('what a run opens with', () => {
  const projection = (name: string, info: object) => ({ name, saved: true, info: { n_rows: 5, selection: { normalize: 'none', mean: [] }, ...info } })
  const of = (...projections: unknown[]) => ({ ...run, projections }) as typeof run
  const unit = { selection: { normalize: 'unit', mean: [] } }

  it('is what was asked for, else unit vectors, else what is not constant', () => {
    const constant = projection('c', { constant: true })
    const raw = projection('raw', {})
    const best = projection('unit', unit)
    expect(firstProjection(of(constant, raw, best), 'raw')).toBe('raw')
    expect(firstProjection(of(constant, raw, best), 'gone')).toBe('unit')
    expect(firstProjection(of(constant, raw))).toBe('raw')
    expect(firstProjection(of(constant))).toBe('c')
    expect(firstProjection(of(constant, raw, best), 'raw@mlp_out@3')).toBe('raw@mlp_out@3')
    expect(firstProjection(of(constant, raw, best), 'gone@mlp_out@3')).toBe('unit')
    expect(firstProjection(of(projection('none', { n_rows: 0 })))).toBeUndefined()
  })
  it('has the norms of the stream where there are', () => {
    expect(heatOf(run)).toBe('mlp_out')
    expect(heatOf(run, 'attn_out')).toBe('attn_out')
    expect(heatOf(run, 'ln1')).toBe('mlp_out')
    expect(heatOf({ ...run, norm_maps: [] })).toBe('')
  })
  it('is another run once that was captured anew', () => {
    expect(sameRun(run, { ...run })).toBe(true)
    expect(sameRun(run, { ...run, version: 'r2' })).toBe(false)
  })
})

describe('words', () => {
  it('show spaces and line breaks', () => expect(seen(' a\nb\\n\t')).toBe('·a⏎b⏎⇥'))
  it('shorten numbers', () => {
    expect([short(NaN), short(0), short(1 / 3), short(123456), short(1e-5)]).toEqual(['–', '0', '0.3333', '1.23e+5', '1.00e-5'])
    expect(grouped(1234567)).toBe('1,234,567')
  })
})
