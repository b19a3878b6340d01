import { isVisible, type Filter, type FilterColumns } from './visible'
import { PolygonIndex, type Polygon } from './polygon'

/** Where a point is now: on its way to its next layer, or resting. */
export interface Places {
  positions: Float32Array
  next: Float32Array | null
  mix: number
}

/** Column-major 4 x 4: world to clip space. */
export type Matrix4 = ArrayLike<number>

/** Rows that are drawn inside the outline, ascending. Pixels count from the top left of width x height. */
export function lasso(
  places: Places,
  columns: FilterColumns,
  filter: Filter,
  matrix: Matrix4,
  width: number,
  height: number,
  polygon: Polygon,
): Uint32Array<ArrayBuffer> {
  const { positions, next, mix } = places
  const n = positions.length / 3
  const index = new PolygonIndex(polygon)
  const found = new Uint32Array(n)
  let count = 0
  const [a, b, , d, e, f, , h, i, j, , l, m, o, , p] = Array.from(matrix)
  const moving = next !== null && mix > 0
  for (let row = 0; row < n; ++row) {
    let x = positions[3 * row]
    let y = positions[3 * row + 1]
    let z = positions[3 * row + 2]
    if (moving) {
      x += (next[3 * row] - x) * mix
      y += (next[3 * row + 1] - y) * mix
      z += (next[3 * row + 2] - z) * mix
    }
    const w = d * x + h * y + l * z + p
    if (!(w > 0)) continue
    const px = ((a * x + e * y + i * z + m) / w + 1) * 0.5 * width
    const py = (1 - (b * x + f * y + j * z + o) / w) * 0.5 * height
    if (index.contains(px, py) && isVisible(filter, columns, row)) found[count++] = row
  }
  return found.slice(0, count)
}

/** The k visible rows nearest to one on the map, nearest first; itself left out. */
export function nearestOnMap(
  places: Places,
  columns: FilterColumns,
  filter: Filter,
  row: number,
  k: number,
  dims: number,
): { rows: number[]; distances: number[] } {
  const { positions } = places
  const n = positions.length / 3
  const best: { row: number; d: number }[] = []
  let worst = Infinity
  const x = positions[3 * row]
  const y = positions[3 * row + 1]
  const z = positions[3 * row + 2]
  for (let i = 0; i < n; ++i) {
    const dx = positions[3 * i] - x
    const dy = positions[3 * i + 1] - y
    const dz = dims === 3 ? positions[3 * i + 2] - z : 0
    const d = dx * dx + dy * dy + dz * dz
    if (d >= worst || i === row || !isVisible(filter, columns, i)) continue
    let at = best.length
    while (at > 0 && best[at - 1].d > d) --at
    best.splice(at, 0, { row: i, d })
    if (best.length > k) best.pop()
    if (best.length === k) worst = best[k - 1].d
  }
  return { rows: best.map((b) => b.row), distances: best.map((b) => Math.sqrt(b.d)) }
}
