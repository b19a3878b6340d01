import { describe, expect, it } from 'vitest'
import { Tiles } from '../../src/map/tiles'
import { random as seeded } from './random'

describe('tiles', () => {
  const n = 5000
  const random = seeded(7)
  // Some far out, and some nowhere.
  const positions = Float32Array.from({ length: 3 * n }, (_, i) => (i < 30 ? 1e30 : i < 300 ? 20 * random() - 10 : 2 * random() - 1))
  const tiles = new Tiles(positions)

  it('hold every row once', () => {
    expect([...tiles.order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
  })
  it('give all that lies in a rectangle, and little else', () => {
    for (let trial = 0; trial < 50; ++trial) {
      const [x, y, w, h] = [3 * random() - 1.5, 3 * random() - 1.5, random(), random()]
      const rect = { left: x, right: x + w, bottom: y, top: y + h }
      const { ranges, n: count } = tiles.within(rect)
      const given = new Set(ranges.flatMap(([from, many]) => [...tiles.order.subarray(from, from + many)]))
      expect(given.size).toBe(count)
      let inside = 0
      for (let i = 0; i < n; ++i) {
        const [px, py] = [positions[3 * i], positions[3 * i + 1]]
        if (px < x || px > x + w || py < y || py > y + h) continue
        ++inside
        expect(given.has(i)).toBe(true)
      }
      if (x > -1 && y > -1 && x + w < 1 && y + h < 1) expect(count).toBeLessThan(inside + 0.15 * n)
    }
  })
  it('give all for the whole world, in one stretch', () => {
    expect(tiles.within({ left: -100, right: 100, bottom: -100, top: 100 })).toEqual({ ranges: [[0, n]], n })
  })
})
