import { describe, expect, it } from 'vitest'
import { isSomewhere, NOWHERE, Places } from '../../../src/state/places'
import { cloud } from './example'

describe('Places', () => {
  it('fits the picture and gives units back', () => {
    const places = new Places()
    const c = cloud()
    places.open(c, [0, 1, 2])
    const all = Array.from(places.positions)
    expect(Math.max(...all)).toBeLessThanOrEqual(1.2)
    for (const row of [0, 5, 17])
      for (const k of [0, 1, 2]) expect(places.unscaled(k, places.positions[3 * row + k])).toBeCloseTo(c.axis(k)![row], 5)
  })
  it('is not stretched by a few points far out, nor by the first tokens', () => {
    const c = cloud()
    const axis = c.axis(0)!
    for (let i = 0; i < 18; ++i) if (c.labels.position[i] === 0) axis[i] = 1e6
    const places = new Places()
    places.open(c, [0, 1, 2])
    expect(places.scale).toBeLessThan(20)
  })
  it('puts what is no number nowhere', () => {
    const places = new Places()
    places.open(cloud(), [0, 1, 2])
    const other = places.scaled([Float32Array.from([NaN, 3]), undefined, undefined], 2)
    expect(other[0]).toBe(Math.fround(NOWHERE))
    expect([isSomewhere(other[0]), isSomewhere(other[3])]).toEqual([false, true])
  })
  it('draws a map of equal points', () => {
    const c = cloud()
    for (const k of [0, 1, 2]) c.axis(k)!.fill(3)
    const places = new Places()
    places.open(c, [0, 1, 2])
    expect(places.scale).toBe(1)
    expect(Array.from(places.positions)).toEqual(Array(54).fill(0))
  })
  it('moves between layers and runs', () => {
    const places = new Places()
    const c = cloud()
    places.open(c, [0, 1, 2])
    const next = places.findNext(c)
    expect(Array.from(next.subarray(0, 3))).toEqual(Array.from(places.positions.subarray(18, 21)))
    expect(Array.from(next.subarray(36, 39))).toEqual(Array.from(places.positions.subarray(36, 39)))
    const half = places.at(0, 0.5, 0, null)
    expect(half[0]).toBeCloseTo((places.positions[0] + places.positions[18]) / 2, 6)
    expect(places.at(0, 0, 1, new Float32Array(54).fill(9))).toEqual([9, 9, 9])
    places.open(c, [1, 0, 2])
    expect(places.next).toBeNull()
  })
})
