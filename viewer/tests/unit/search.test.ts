import { describe, expect, it } from 'vitest'
import { MapCamera, project } from '../../src/map/camera'
import { inside } from '../../src/select/polygon'
import { lasso, nearestOnMap } from '../../src/select/search'
import { isVisible, openFilter } from '../../src/select/visible'
import { random } from './random'

function cloud(n: number) {
  const next = random(11)
  const positions = Float32Array.from({ length: 3 * n }, () => next() * 2 - 1)
  const moved = Float32Array.from({ length: 3 * n }, () => next() * 2 - 1)
  const columns = {
    component: Uint8Array.from({ length: n }, (_, i) => i % 3),
    layer: Int16Array.from({ length: n }, (_, i) => (i % 5) - 1),
    position: Int32Array.from({ length: n }, (_, i) => i % 17),
    label: Int32Array.from({ length: n }, (_, i) => (i % 4) - 1),
    tokenRank: Uint16Array.from({ length: n }, (_, i) => (i * 7) % 600),
    expert: Int16Array.from({ length: n }, (_, i) => (i % 6) - 1),
  }
  return { positions, moved, columns }
}

const polygon = [200, 100, 600, 120, 500, 300, 650, 500, 220, 480, 400, 300]

describe('lasso', () => {
  for (const dim of [2, 3] as const)
    it(`finds what projecting point by point finds, in ${dim}-D, filtered and moving`, () => {
      const { positions, moved, columns } = cloud(5000)
      const camera = new MapCamera()
      camera.width = 800
      camera.height = 600
      camera.pose = { dim, x: 0.1, y: -0.1, z: 0.05, yaw: 0.7, pitch: 0.3, reach: 1 }
      const matrix = camera.matrix()
      const filter = openFilter()
      filter.component[1] = 0
      filter.label[0] = 0
      filter.expert[3] = 0
      filter.token.fill(0, 100, 120)
      filter.hideFirst = true
      const mix = 0.3
      const expected: number[] = []
      for (let i = 0; i < 5000; ++i) {
        const p = [0, 1, 2].map((k) => positions[3 * i + k] + (moved[3 * i + k] - positions[3 * i + k]) * mix)
        const at = project(matrix, p[0], p[1], p[2], 800, 600)
        if (at && inside(polygon, at[0], at[1]) && isVisible(filter, columns, i)) expected.push(i)
      }
      const rows = lasso({ positions, next: moved, mix }, columns, filter, matrix, 800, 600, polygon)
      expect(expected.length).toBeGreaterThan(100)
      expect(Array.from(rows)).toEqual(expected)
    })
})

describe('isVisible', () => {
  it('shows one layer alone, and hides first tokens', () => {
    const { columns } = cloud(100)
    const filter = { ...openFilter(), onlyLayer: 2, hideFirst: true }
    for (let i = 0; i < 100; ++i)
      expect(isVisible(filter, columns, i)).toBe(columns.layer[i] === 2 && columns.position[i] !== 0)
  })
})

describe('nearestOnMap', () => {
  it('gives the k nearest visible rows in order', () => {
    const { positions, columns } = cloud(2000)
    const filter = openFilter()
    filter.component[2] = 0
    const places = { positions, next: null, mix: 0 }
    const { rows, distances } = nearestOnMap(places, columns, filter, 5, 10, 3)
    const all = Array.from({ length: 2000 }, (_, i) => i)
      .filter((i) => i !== 5 && columns.component[i] !== 2)
      .map((i) => ({ i, d: Math.hypot(...[0, 1, 2].map((k) => positions[3 * i + k] - positions[15 + k])) }))
      .sort((a, b) => a.d - b.d)
      .slice(0, 10)
    expect(rows).toEqual(all.map((a) => a.i))
    distances.forEach((d, k) => expect(d).toBeCloseTo(all[k].d, 5))
  })
})
