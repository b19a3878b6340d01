import type { View } from '../state/view.svelte'
import { categoryColor, css } from '../color/palette'
import { project } from './camera'

/** Paths and displacement lines that are drawn at most; the page says so when there are more. */
export const MOST_PATHS = 150
export const MOST_LINES = 3000

export interface Stroke {
  points: [number, number][]
  color: string
  width: number
  alpha: number
  arrow?: boolean
  dots?: { at: [number, number]; text: string }[]
}
export interface Mark {
  at: [number, number]
  radius: number
  color: string
  text?: string
}
export interface Axis {
  from: [number, number]
  to: [number, number]
  text: string
}
export interface Overlay {
  axes: Axis[]
  strokes: Stroke[]
  marks: Mark[]
  shownPaths: number
  ofPaths: number
  shownLines: number
  ofLines: number
}

type P2 = [number, number]

/** Rows whose tokens' paths are shown: the selected ones, or the picked one. */
function pathRows(view: View): { rows: number[]; of: number } {
  const cloud = view.cloud!
  const seen = new Set<string>()
  const rows: number[] = []
  let of = 0
  const add = (row: number) => {
    const l = cloud.labels
    if (l.layer[row] < 0) return
    const key = `${l.component[row]}/${l.token[row]}/${l.position[row]}/${l.sequence[row]}`
    if (seen.has(key)) return
    seen.add(key)
    ++of
    if (rows.length < MOST_PATHS) rows.push(row)
  }
  const chosen = view.marks.selectedRows(60_000)
  if (chosen.length) chosen.forEach(add)
  else if (view.picking.picked >= 0) add(view.picking.picked)
  return { rows, of }
}

let moved: { of: unknown[]; rows: number[] } | null = null
/** Rows with a place in both runs that are shown, found anew only when what decides it changes. */
function movedRows(view: View): number[] {
  const of = [view.comparison.otherPositions, view.hiding.filter, view.marks.selectedCount]
  if (moved && moved.of.every((value, i) => value === of[i])) return moved.rows
  const rows: number[] = []
  const other = view.comparison.otherPositions!
  for (let r = 0; r < view.cloud!.n; ++r)
    if (other[3 * r] < 1e29 && view.hiding.visible(r) && (!view.marks.selectedCount || view.marks.state[r] & 1)) rows.push(r)
  moved = { of, rows }
  return rows
}

/** A line without its places behind the camera. */
function pieces(line: (P2 | null)[]): P2[][] {
  const out: P2[][] = [[]]
  for (const place of line) {
    if (place) out[out.length - 1].push(place)
    else if (out[out.length - 1].length) out.push([])
  }
  return out.filter((piece) => piece.length > 1)
}

/** Rows from position to position where each has one row: the curve of positions. Empty: they have several, or none. */
function positionCurve(view: View): number[] {
  const cloud = view.cloud!
  if (view.colors.coloring !== 'position' || cloud.n > 4096) return []
  const at = new Map<number, number>()
  for (let r = 0; r < cloud.n; ++r) {
    const position = cloud.labels.position[r]
    if (position < 0 || at.has(position)) return []
    if (view.hiding.visible(r)) at.set(position, r)
  }
  return [...at].sort((a, b) => a[0] - b[0]).map(([, row]) => row)
}

/** Everything drawn over the points, in pixels: for the screen and for SVG alike. */
export function overlay(view: View): Overlay {
  const out: Overlay = { axes: [], strokes: [], marks: [], shownPaths: 0, ofPaths: 0, shownLines: 0, ofLines: 0 }
  const { scene, cloud } = view
  if (!scene || !cloud) return out
  const matrix = scene.camera.matrix()
  const { width, height } = scene.camera
  const to = (x: number, y: number, z: number): P2 | null => project(matrix, x, y, z, width, height)
  const at = (row: number): P2 | null => to(...view.placeOf(row))
  const fixed = (row: number): P2 | null => to(view.places.positions[3 * row], view.places.positions[3 * row + 1], view.places.positions[3 * row + 2])
  const ink = view.colors.dark ? '#ffffff' : '#000000'

  if (scene.camera.pose.dim === 3) {
    const corner: P2 = [width - 62, 62]
    const names = view.axes.map((a) => `${cloud.info.method === 'pca' ? 'PC' : ''}${a + 1}`)
    scene.camera.directions().forEach(([x, y], k) => {
      out.axes.push({ from: corner, to: [corner[0] + 36 * x, corner[1] - 36 * y], text: names[k] })
    })
  }

  if (view.comparison.otherPositions && view.comparison.lines) {
    const rows = movedRows(view)
    const step = Math.max(1, Math.ceil(rows.length / MOST_LINES))
    out.ofLines = rows.length
    for (let i = 0; i < rows.length; i += step) {
      const r = rows[i]
      const a = fixed(r)
      const b = to(view.comparison.otherPositions[3 * r], view.comparison.otherPositions[3 * r + 1], view.comparison.otherPositions[3 * r + 2])
      if (!a || !b) continue
      ++out.shownLines
      out.strokes.push({ points: [a, b], color: view.colors.rowColor(r), width: 1.2, alpha: view.marks.selectedCount ? 0.9 : 0.6 })
    }
  }

  for (const points of pieces(positionCurve(view).map(at))) out.strokes.push({ points, color: ink, width: 1, alpha: 0.25 })

  if (view.paths && cloud.hasLayers) {
    const { rows, of } = pathRows(view)
    out.shownPaths = rows.length
    out.ofPaths = of
    const sums = new Map<number, { x: number; y: number; z: number; n: number }>()
    rows.forEach((row, i) => {
      const path = cloud.path(row)
      const points = path.map(fixed)
      for (const r of path) {
        const layer = cloud.labels.layer[r]
        const sum = sums.get(layer) ?? { x: 0, y: 0, z: 0, n: 0 }
        sum.x += view.places.positions[3 * r]
        sum.y += view.places.positions[3 * r + 1]
        sum.z += view.places.positions[3 * r + 2]
        ++sum.n
        sums.set(layer, sum)
      }
      for (const piece of pieces(points))
        out.strokes.push({ points: piece, color: css(categoryColor(i % 6, view.colors.dark)), width: 1.2, alpha: rows.length > 20 ? 0.35 : 0.75 })
    })
    if (rows.length > 1) {
      const layers = [...sums.keys()].sort((a, b) => a - b)
      const points = layers.map((l) => {
        const s = sums.get(l)!
        return to(s.x / s.n, s.y / s.n, s.z / s.n)
      })
      if (points.every((p) => p !== null))
        out.strokes.push({
          points: points as P2[],
          color: ink,
          width: 3,
          alpha: 1,
          arrow: true,
          dots: layers.map((l, i) => ({ at: points[i]!, text: String(l) })),
        })
    }
  }

  if (view.picking.picked >= 0 && view.picking.near) {
    const from = at(view.picking.picked)
    for (const r of view.picking.near.full?.rows ?? []) {
      const b = at(r)
      if (from && b) out.strokes.push({ points: [from, b], color: ink, width: 1, alpha: 0.5 })
    }
  }
  if (view.picking.hovered >= 0 && view.picking.hovered !== view.picking.picked) {
    const p = at(view.picking.hovered)
    if (p) out.marks.push({ at: p, radius: view.pointSize / 2 + 4, color: ink })
  }
  if (view.picking.picked >= 0) {
    const p = at(view.picking.picked)
    if (p) out.marks.push({ at: p, radius: view.pointSize / 2 + 6, color: view.colors.dark ? '#ffd34d' : '#c2410c' })
  }
  return out
}

export function paintOverlay(context: CanvasRenderingContext2D, what: Overlay, paper: string, ink: string): void {
  context.save() // what is drawn after has its own fonts and alignment
  context.lineJoin = context.lineCap = 'round'
  for (const stroke of what.strokes) {
    context.globalAlpha = stroke.alpha
    context.strokeStyle = stroke.color
    context.lineWidth = stroke.width
    context.beginPath()
    stroke.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)))
    context.stroke()
    context.globalAlpha = 1
    if (stroke.dots) {
      context.font = '11px system-ui, sans-serif'
      context.textAlign = 'center'
      context.textBaseline = 'middle'
      const step = Math.max(1, Math.ceil(stroke.dots.length / 16))
      stroke.dots.forEach(({ at: [x, y], text }, i) => {
        const labelled = i % step === 0 || i === stroke.dots!.length - 1
        context.fillStyle = stroke.color
        context.beginPath()
        context.arc(x, y, labelled ? 8 : 3.5, 0, 7)
        context.fill()
        context.fillStyle = paper
        if (labelled) context.fillText(text, x, y + 0.5)
      })
    }
  }
  context.font = '11px system-ui, sans-serif'
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.strokeStyle = context.fillStyle = ink
  context.lineWidth = 1.2
  for (const { from, to, text } of what.axes) {
    context.globalAlpha = 0.65
    context.beginPath()
    context.moveTo(...from)
    context.lineTo(...to)
    context.stroke()
    const length = Math.hypot(to[0] - from[0], to[1] - from[1])
    const push = (length + 11) / Math.max(length, 1e-6)
    if (length > 6) context.fillText(text, from[0] + (to[0] - from[0]) * push, from[1] + (to[1] - from[1]) * push)
  }
  context.globalAlpha = 1
  for (const mark of what.marks) {
    context.strokeStyle = mark.color
    context.lineWidth = 2
    context.beginPath()
    context.arc(mark.at[0], mark.at[1], mark.radius, 0, 7)
    context.stroke()
  }
  context.restore()
}
