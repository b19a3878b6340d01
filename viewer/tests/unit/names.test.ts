import { describe, expect, it } from 'vitest'
import { MapCamera, project, restPose } from '../../src/map/camera'
import { scaleLength, Spots, teller } from '../../src/map/labels'
import { islands, names } from '../../src/map/names'
import { layOut } from '../../src/map/cells'
import { Cloud } from '../../src/data/cloud'
import type { CloudHeader, ProjectionInfo } from '../../src/data/types'
import { cloud, run, tokens } from './state/example'
import { random } from './random'

/** Two components of so many rows each, at two layers, of the example's six tokens in turn. */
function large(n: number): Cloud {
  const segments: CloudHeader['segments'] = [['attn_out', 0, n, 0], ['attn_out', 1, n, 0], ['mlp_out', 0, n, 0], ['mlp_out', 1, n, 0]]
  const header: CloudHeader = { name: 'p', n: 4 * n, dims: 3, averages: false, norm: { low: 1, high: 9 }, segments, columns: {} }
  const token = Uint32Array.from({ length: 4 * n }, (_, i) => i % 6)
  return new Cloud(run, 'p', { method: 'umap' } as ProjectionInfo, header, tokens, new Map<string, Uint32Array | Uint16Array>([['token', token], ['norm', new Uint16Array(4 * n)]]), new Map())
}
const all = (n: number) => Array.from({ length: n }, (_, i) => i)

describe('islands', () => {
  it('are what no bridge of points joins', () => {
    const next = random(3)
    const positions = new Float32Array(3 * 600)
    for (let i = 0; i < 600; ++i) for (let k = 0; k < 2; ++k) positions[3 * i + k] = (i % 3) * 0.8 - 0.8 + 0.3 * (next() - 0.5)
    for (const dims of [2, 3]) {
      const group = islands(positions, all(600), dims)
      const own = [0, 1, 2].map((g) => new Set(all(600).filter((i) => i % 3 === g && group[i] >= 0).map((i) => group[i])))
      expect(own.map((s) => s.size)).toEqual([1, 1, 1])
      expect(new Set(own.flatMap((s) => [...s])).size).toBe(3)
    }
  })
})

describe('names', () => {
  it('are what separates an island: the component here, and the token', () => {
    const next = random(5)
    const c = large(120)
    const positions = new Float32Array(3 * c.n)
    for (let i = 0; i < c.n; ++i) {
      positions[3 * i] = (c.labels.component[i] ? 0.6 : -0.6) + 0.2 * next()
      positions[3 * i + 1] = (c.tokens.tokenId[c.labels.token[i]] === 9 ? 0.6 : -0.6) + 0.2 * next()
    }
    const found = names(c, positions, all(c.n), 2)
    expect(found.map((f) => f.text).sort()).toEqual(['attn_out', 'attn_out', 'mlp_out', 'mlp_out'])
    for (const f of found) {
      expect(f.token === 'c', f.token).toBe(positions[3 * f.row + 1] > 0)
      expect(c.components[c.labels.component[f.row]]).toBe(f.text)
    }
  })
  it('are those of layers, where one cloud parts by layer', () => {
    const next = random(7)
    const c = large(120)
    const positions = Float32Array.from({ length: 3 * c.n }, (_, i) => (i % 3 ? 0 : c.labels.layer[Math.floor(i / 3)] - 0.5) + next() - 0.5)
    expect(names(c, positions, all(c.n), 3).map((f) => f.text).sort()).toEqual(['attn_out, layer 0', 'attn_out, layer 1', 'mlp_out, layer 0', 'mlp_out, layer 1'])
  })
  it('are none for a handful of points', () => {
    expect(names(cloud(), new Float32Array(54), all(18), 3)).toEqual([])
  })
})

describe('labels', () => {
  it('leave out what all rows have in common', () => {
    const c = cloud()
    expect([0, 1].map(teller(c, [0, 1]))).toEqual(['·a', 'b'])
    expect([0, 6].map(teller(c, [0, 6]))).toEqual(['L0', 'L1'])
    expect([0, 3].map(teller(c, [0, 3]))).toEqual(['@0', '@3'])
    expect([0].map(teller(c, [0]))).toEqual(['·a'])
    // Layers that stand beside them are not said again.
    expect([0, 7].map((row) => teller(c, [0, 7])(row))).toEqual(['·a L0', 'b L1'])
    expect([0, 7].map((row) => teller(c, [0, 7], false)(row))).toEqual(['·a', 'b'])
  })
  it('cover none before them and nothing blocked', () => {
    const spots = new Spots(200, 100)
    const label = (x: number, y: number) => ({ at: [x, y] as [number, number], text: 'name', size: 12 })
    expect(spots.place(label(100, 50))).toBe(true)
    expect(spots.place(label(105, 52))).toBe(false)
    expect(spots.place(label(100, 80))).toBe(true)
    expect(spots.place(label(2, 20))).toBe(false)
    spots.block(0, 0, 200, 30)
    expect(spots.place(label(100, 20))).toBe(false)
  })
  it('of scale are round and fit', () => {
    for (const perPixel of [1e-6, 0.013, 0.2, 1, 77]) {
      const { pixels, units } = scaleLength(perPixel)
      expect(pixels).toBeGreaterThanOrEqual(49.99)
      expect(pixels).toBeLessThanOrEqual(125.01)
      expect([1, 2, 5, 10]).toContain(Math.round(units / 10 ** Math.floor(Math.log10(units) + 1e-9)))
    }
  })
})

describe('layers side by side', () => {
  it('fill the picture and touch no other', () => {
    for (const [n, width, height] of [[5, 800, 600], [30, 1300, 700], [2, 390, 700], [40, 1000, 200]]) {
      const cells = layOut(all(n).map((layer) => ({ layer, side: 0 })), width, height)
      expect(cells).toHaveLength(n)
      for (const c of cells) expect(c.x + c.width <= width && c.y + c.height <= height).toBe(true)
      for (const a of cells) for (const b of cells) expect(a === b || a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y).toBe(true)
      expect((n * cells[0].width * cells[0].height) / (width * height)).toBeGreaterThan(0.6)
    }
  })
})

describe('a fitted view', () => {
  it('leaves the sides free that it is asked to', () => {
    const next = random(9)
    const positions = Float32Array.from({ length: 3 * 500 }, () => 2 * next() - 1)
    for (const dim of [2, 3] as const) {
      const camera = new MapCamera()
      ;[camera.width, camera.height] = [700, 500]
      camera.pose = restPose(dim)
      expect(camera.fit(positions, all(500), { top: 10, right: 20, bottom: 120, left: 40 })).toBe(0)
      const matrix = camera.matrix()
      const places = all(500).map((i) => project(matrix, positions[3 * i], positions[3 * i + 1], positions[3 * i + 2], 700, 500)!)
      const [xs, ys] = [0, 1].map((k) => places.map((p) => p[k]))
      expect(Math.min(...xs)).toBeGreaterThan(40)
      expect(Math.max(...xs)).toBeLessThan(680)
      expect(Math.min(...ys)).toBeGreaterThan(10)
      expect(Math.max(...ys)).toBeLessThan(380)
    }
  })
  it('does not shrink all for one that is far out, and counts it', () => {
    const next = random(9)
    const positions = Float32Array.from({ length: 3 * 500 }, (_, i) => (i === 0 ? 40 : 2 * next() - 1))
    const camera = new MapCamera()
    ;[camera.width, camera.height] = [700, 500]
    camera.pose = restPose(2)
    expect(camera.fit(positions, all(500))).toBe(1)
    expect(camera.pose.reach).toBeLessThan(2)
  })
})
