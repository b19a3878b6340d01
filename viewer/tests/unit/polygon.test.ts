import { describe, expect, it } from 'vitest'
import { inside, PolygonIndex } from '../../src/select/polygon'
import { random } from './random'

const shapes: Record<string, number[]> = {
  square: [10, 10, 90, 10, 90, 90, 10, 90],
  'concave L': [0, 0, 100, 0, 100, 30, 30, 30, 30, 100, 0, 100],
  star: Array.from({ length: 10 }, (_, i) => {
    const r = i % 2 ? 20 : 50
    return [50 + r * Math.sin((i * Math.PI) / 5), 50 - r * Math.cos((i * Math.PI) / 5)]
  }).flat(),
  'bow tie (crosses itself)': [0, 0, 100, 100, 100, 0, 0, 100],
  sliver: [10, 10, 90, 10.4, 90, 10.8],
}

describe('PolygonIndex', () => {
  for (const [name, shape] of Object.entries(shapes))
    it(`agrees with the plain test on 20,000 points: ${name}`, () => {
      const next = random(7)
      const index = new PolygonIndex(shape)
      for (let i = 0; i < 20_000; ++i) {
        const x = next() * 120 - 10
        const y = next() * 120 - 10
        if (index.contains(x, y) !== inside(shape, x, y)) expect.fail(`differs at ${x}, ${y}`)
      }
    })

  it('agrees on hand-drawn outlines of many corners', () => {
    const next = random(3)
    for (let trial = 0; trial < 20; ++trial) {
      const shape: number[] = []
      for (let i = 0; i < 150; ++i) shape.push(next() * 300, next() * 200)
      const index = new PolygonIndex(shape)
      for (let i = 0; i < 1000; ++i) {
        const x = next() * 300
        const y = next() * 200
        if (index.contains(x, y) !== inside(shape, x, y)) expect.fail(`differs at ${x}, ${y}`)
      }
    }
  })

  it('holds nothing when it is a line', () => {
    const index = new PolygonIndex([5, 5, 50, 5])
    expect(index.contains(20, 5)).toBe(inside([5, 5, 50, 5], 20, 5))
    expect(index.contains(20, 6)).toBe(false)
  })
})
