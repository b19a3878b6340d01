import { describe, expect, it } from 'vitest'
import { Comparison } from '../../../src/state/comparison.svelte'
import { Places } from '../../../src/state/places'
import { cloud, ScriptedSource } from './example'

function make() {
  const c = cloud()
  const places = new Places()
  places.open(c, [0, 1, 2])
  // Every point two to the right, one without a counterpart.
  const moved = Float32Array.from(c.axis(0)!, (x, i) => (i === 5 ? NaN : x + 2))
  const source = new ScriptedSource({
    'counterpart/p': { n_matched: 17, version: 'c1', notes: ['noted'], sites: [2, 1, 0].map((layer) => ({ component: 'attn_out', layer, movement: layer, length: 10, rows: 6 })) },
    // Row i moves by i; one has no counterpart.
    'counterpart/p/displacement@c1': Float32Array.from({ length: 18 }, (_, i) => (i === 5 ? NaN : i)).buffer,
    'counterpart/p/axis0@c1': moved.buffer,
    'counterpart/p/axis1@c1': c.axis(1)!.slice().buffer,
    'counterpart/p/axis2@c1': c.axis(2)!.slice().buffer,
  })
  return { c, places, comparison: new Comparison(source), source }
}

describe('Comparison', () => {
  it('measures the way in the projection’s units, of those that have a counterpart', async () => {
    const { c, places, comparison } = make()
    expect(await comparison.load(c, [0, 1, 2], places, () => true)).toBe(true)
    expect(comparison.matched).toBe(17)
    expect(comparison.displacement).toBeCloseTo(2, 5)
    expect(comparison.ghostly).toBe(true)
    comparison.other = 1
    expect(comparison.ghostly).toBe(false)
  })
  it('ranks the rows that moved farthest, one of each token, first positions left out', async () => {
    const { c, places, comparison } = make()
    await comparison.load(c, [0, 1, 2], places, () => true)
    expect(comparison.notes).toEqual(['noted'])
    expect(comparison.sites[0].layer).toBe(2)
    const long = comparison.mostDisplaced(10, () => true)
    expect(long.map((d) => d.row)).toEqual([17, 15, 14, 13])
    expect(long[0].share).toBeCloseTo(1.7)
    expect(comparison.mostDisplaced(2, (row) => row < 12).map((d) => d.row)).toEqual([11, 9])
    expect(comparison.movedBy(7)).toEqual({ distance: 7, share: 0.7 })
    expect(comparison.movedBy(5)).toBeNull()
  })
  it('goes on its own way to the next layer', async () => {
    const { c, places, comparison } = make()
    await comparison.load(c, [0, 1, 2], places, () => true)
    places.findNext(c)
    comparison.otherNext = places.following(comparison.otherPositions!)
    expect(comparison.placeOf(5, 0)).toBeNull()
    const there = comparison.placeOf(0, 0.5)!
    expect(places.unscaled(0, there[0])).toBeCloseTo(2 + 3)
    expect(comparison.placeOf(11, 1)).toEqual(comparison.placeOf(17, 0))
  })
  it('asks for nothing where there is no basis', async () => {
    const { places, comparison, source } = make()
    expect(await comparison.load(cloud({}, { method: 'umap' }), [0, 1, 2], places, () => true)).toBe(false)
    expect(source.asked).toEqual([])
    expect(comparison.matched).toBeNull()
  })
  it('keeps nothing that came too late', async () => {
    const { c, places, comparison } = make()
    expect(await comparison.load(c, [0, 1, 2], places, () => false)).toBe(false)
    expect([comparison.otherPositions, comparison.matched]).toEqual([null, null])
  })
  it('opens where a link says', () => {
    const { comparison } = make()
    comparison.open({ other: 0.25 })
    expect(comparison.shared()).toEqual({ other: 0.25 })
    comparison.open({})
    expect(comparison.other).toBe(0)
  })
})
