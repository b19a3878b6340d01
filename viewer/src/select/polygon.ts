/** Points of a closed outline, [x0, y0, x1, y1, ...], pixels. */
export type Polygon = ArrayLike<number>

/** Even-odd rule: concave and self-crossing outlines too. */
export function inside(polygon: Polygon, x: number, y: number): boolean {
  let within = false
  const n = polygon.length / 2
  for (let i = 0, j = n - 1; i < n; j = i++) {
    const yi = polygon[2 * i + 1]
    const yj = polygon[2 * j + 1]
    if (yi > y === yj > y) continue
    const xi = polygon[2 * i]
    const xj = polygon[2 * j]
    if (x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within
  }
  return within
}

const OUT = 0
const IN = 1
const EDGE = 2

/**
 * Answers many points quickly: the outline's box is cut into cells, and only points in cells that the outline crosses
 * are tested against it.
 */
export class PolygonIndex {
  private readonly cells: Uint8Array
  readonly left: number
  readonly top: number
  readonly right: number
  readonly bottom: number
  private readonly sx: number
  private readonly sy: number

  constructor(
    private readonly polygon: Polygon,
    private readonly size = 96,
  ) {
    let left = Infinity
    let top = Infinity
    let right = -Infinity
    let bottom = -Infinity
    for (let i = 0; i < polygon.length; i += 2) {
      left = Math.min(left, polygon[i])
      right = Math.max(right, polygon[i])
      top = Math.min(top, polygon[i + 1])
      bottom = Math.max(bottom, polygon[i + 1])
    }
    this.left = left
    this.top = top
    this.right = right
    this.bottom = bottom
    this.sx = size / Math.max(right - left, 1e-9)
    this.sy = size / Math.max(bottom - top, 1e-9)
    this.cells = new Uint8Array(size * size)
    this.markEdges()
    for (let row = 0; row < size; ++row) {
      for (let column = 0; column < size; ++column) {
        const cell = row * size + column
        if (this.cells[cell] === EDGE) continue
        // Cells without an edge are whole in or out, and equal to a neighbour without one.
        if (column > 0 && this.cells[cell - 1] !== EDGE) this.cells[cell] = this.cells[cell - 1]
        else {
          const x = left + (column + 0.5) / this.sx
          const y = top + (row + 0.5) / this.sy
          this.cells[cell] = inside(polygon, x, y) ? IN : OUT
        }
      }
    }
  }

  /** Cells that an edge may touch, generously. */
  private markEdges(): void {
    const n = this.polygon.length / 2
    const clamp = (i: number) => Math.min(this.size - 1, Math.max(0, i))
    for (let i = 0, j = n - 1; i < n; j = i++) {
      const x0 = (this.polygon[2 * j] - this.left) * this.sx
      const y0 = (this.polygon[2 * j + 1] - this.top) * this.sy
      const x1 = (this.polygon[2 * i] - this.left) * this.sx
      const y1 = (this.polygon[2 * i + 1] - this.top) * this.sy
      const steps = Math.ceil(2 * Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0))) + 1
      for (let s = 0; s <= steps; ++s) {
        const x = Math.floor(x0 + ((x1 - x0) * s) / steps)
        const y = Math.floor(y0 + ((y1 - y0) * s) / steps)
        for (let dy = -1; dy <= 1; ++dy)
          for (let dx = -1; dx <= 1; ++dx) this.cells[clamp(y + dy) * this.size + clamp(x + dx)] = EDGE
      }
    }
  }

  contains(x: number, y: number): boolean {
    if (!(x >= this.left && x <= this.right && y >= this.top && y <= this.bottom)) return false
    const column = Math.min(this.size - 1, Math.floor((x - this.left) * this.sx))
    const row = Math.min(this.size - 1, Math.floor((y - this.top) * this.sy))
    const cell = this.cells[row * this.size + column]
    return cell === EDGE ? inside(this.polygon, x, y) : cell === IN
  }
}
