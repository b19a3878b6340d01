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
    'counterpart/p': { n_matched: 17, version: 'c1' },
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
