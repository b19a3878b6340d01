import type { View } from '../state/view.svelte'
import { categoryColor, css } from '../color/palette'
import { seen, short } from '../state/words'
import { project } from './camera'
import { scaleLength, Spots, teller, type Label } from './labels'
import { names, type Named } from './names'

/** Paths and displacement lines that are drawn at most; the page says so when there are more. */
export const MOST_PATHS = 150
export const MOST_LINES = 3000
/** Labels of selected or found points. */
const MOST_LABELS = 24

export interface Stroke {
  points: [number, number][]
  color: string
  width: number
  alpha: number
  dots?: { at: [number, number]; text: string }[]
  /** Drawn on a rim of paper, to be seen on points of any colour. */
  bright?: boolean
  dashed?: boolean
}
export interface Mark {
  at: [number, number]
  radius: number
  color: string
  filled?: boolean
}
export interface Axis {
  from: [number, number]
  to: [number, number]
  text: string
}
/** What a sign over the map means. */
export interface Key {
  sign: 'ring' | 'line' | 'thick' | 'dark'
  color: string
  text: string
}
export interface Overlay {
  axes: Axis[]
  strokes: Stroke[]
  marks: Mark[]
  labels: Label[]
  keys: Key[]
  /** Pixels from the top to the first key. */
  keysFrom: number
  /** From `at` to the right. */
  scale: { at: [number, number]; pixels: number; text: string } | null
  shownPaths: number
  ofPaths: number
  /** Of the paths shown, those that lack layers on this map. */
  tornPaths: number
  shownLines: number
  ofLines: number
  /** Places of prompts that lie outside of the picture. */
  beyond: number
}

type P2 = [number, number]

/** Rows whose tokens' paths are shown: the selected ones, or the picked one. */
function pathRows(view: View): { rows: number[]; of: number } {
  const cloud = view.cloud!
  const met = new Set<string>()
  const rows: number[] = []
  let of = 0
  const add = (row: number) => {
    const l = cloud.labels
    if (l.layer[row] < 0) return
    const key = `${l.component[row]}/${l.token[row]}/${l.position[row]}/${l.sequence[row]}/${l.label[row]}`
    if (met.has(key)) return
    met.add(key)
    ++of
    if (rows.length < MOST_PATHS) rows.push(row)
  }
  const chosen = view.marks.selectedRows(60_000)
  if (chosen.length) chosen.forEach(add)
  else if (view.picking.picked >= 0) add(view.picking.picked)
  return { rows, of }
}

/** Finds anew only when what decides it has changed. */
function remembered<T>(find: (view: View) => T, decides: (view: View) => unknown[]): (view: View) => T {
  let last: { of: unknown[]; value: T } | null = null
  return (view) => {
    const of = decides(view)
    if (!last || last.of.length !== of.length || last.of.some((value, i) => value !== of[i])) last = { of, value: find(view) }
    return last.value
  }
}

/** Rows with a place in both runs that are shown. */
const movedRows = remembered(
  (view) => {
    const rows: number[] = []
    const other = view.comparison.otherPositions!
    for (let r = 0; r < view.cloud!.n; ++r)
      if (other[3 * r] < 1e29 && view.hiding.visible(r) && (!view.marks.selectedCount || view.marks.state[r] & 1)) rows.push(r)
    return rows
  },
  (view) => [view.comparison.otherPositions, view.hiding.filter, view.marks.version],
)

const namesShown = remembered(
  (view): Named[] => names(view.cloud!, view.places.positions, view.hiding.sample().rows, view.dim),
  (view) => [view.places.positions, view.hiding.filter, view.dim],
)

/** Rows that may have a label of their own, evenly over those selected, else found; with paths one a token. */
const labelledRows = remembered(
  (view): number[] => {
    const cloud = view.cloud!
    let rows = view.marks.selectedCount ? view.marks.selectedRows() : view.marks.found ? view.marks.foundRows() : []
    if (view.paths && cloud.hasLayers) {
      const last = new Map<string, number>()
      for (const r of rows) last.set(`${cloud.labels.component[r]}/${cloud.labels.token[r]}/${cloud.labels.position[r]}/${cloud.labels.sequence[r]}`, r)
      rows = [...last.values()]
    }
    rows = rows.filter((r) => view.hiding.visible(r))
    const step = Math.max(1, rows.length / (3 * MOST_LABELS))
    const some: number[] = []
    for (let i = 0; i < rows.length; i += step) some.push(rows[Math.floor(i)])
    return some
  },
  (view) => [view.marks.state, view.marks.version, view.hiding.filter, view.paths],
)

/** A line without its places that are not on the map or behind the camera. */
function pieces(line: (P2 | null)[]): P2[][] {
  const out: P2[][] = [[]]
  for (const place of line) {
    if (place) out[out.length - 1].push(place)
    else if (out[out.length - 1].length) out.push([])
  }
  return out.filter((piece) => piece.length > 0)
}

/** The mean place of whole ways at each layer. */
function meanWay(ways: number[][], cloud: View['cloud'] & object, placeOf: (row: number) => [number, number, number] | null): { place: [number, number, number]; layer: number }[] {
  const sums = new Map<number, { place: [number, number, number]; n: number }>()
  for (const way of ways) {
    const places = way.map(placeOf)
    // A second run may lack rows: then its way is no whole one.
    if (places.includes(null)) continue
    for (const [i, row] of way.entries()) {
      const place = places[i]!
      const layer = cloud.labels.layer[row]
      const sum = sums.get(layer) ?? { place: [0, 0, 0], n: 0 }
      for (const k of [0, 1, 2]) sum.place[k] += place[k]
      ++sum.n
      sums.set(layer, sum)
    }
  }
  return [...sums].sort((a, b) => a[0] - b[0]).map(([layer, { place: [x, y, z], n }]) => ({ place: [x / n, y / n, z / n], layer }))
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

/** Colours of the first prompt and of the second, which is dashed as well. */
export const promptColor = (which: number, dark: boolean): string => (which === 0 ? (dark ? '#ff6bb5' : '#c8005f') : dark ? '#5fd3ff' : '#0057c2')

/** Prompts that were typed in: each token's way through the layers; of a layer that is shown, its place there. */
function drawPrompts(view: View, out: Overlay, spots: Spots, to: (x: number, y: number, z: number, layer: number) => P2 | null, cells: boolean): void {
  const { live, playback } = view
  const { dark } = view.colors
  live.prompts.forEach((prompt, which) => {
    const laid = live.laid[which]
    if (!laid) return
    const { cloud } = laid
    const color = promptColor(which, dark)
    const chosen = live.picked[which] ?? -1
    const aside = live.chosen !== null && chosen < 0
    const at = (row: number, mix = 0): P2 | null => {
      const place = live.placeOf(laid, row, mix)
      return place && to(...place, cloud.labels.layer[row])
    }
    let drawn = false
    const ways = new Map<string, number[]>()
    for (let row = 0; row < cloud.n; ++row) {
      const token = cloud.labels.token[row]
      if (chosen >= 0 && token !== chosen) continue
      const key = `${cloud.labels.component[row]}/${cloud.labels.layer[row] < 0 ? row : ''}/${token}`
      if (!ways.has(key)) ways.set(key, cloud.labels.layer[row] < 0 ? [row] : cloud.way(row).filter((r) => r >= 0))
    }
    const last = prompt.tokens.length - 1
    for (const way of ways.values()) {
      const token = cloud.labels.token[way[0]]
      const alone = token === chosen
      // Of a layer that is shown: as far as that, and on to where the points are moving.
      const shown = playback.layer < 0 ? way.length - 1 : way.findIndex((r) => cloud.labels.layer[r] === playback.layer)
      if (cells) {
        for (const row of way) {
          const p = at(row)
          if (p) out.marks.push({ at: p, radius: alone ? 5 : 3, color, filled: true })
          drawn ||= p !== null
        }
        continue
      }
      if (shown < 0) continue
      const head = at(way[shown], playback.layer < 0 ? 0 : playback.mix)
      const line = [...way.slice(0, shown + 1).map((row) => at(row)), ...(playback.mix > 0 ? [head] : [])]
      const { width, height } = view.scene!
      if (!aside) out.beyond += line.filter((p) => p && !(p[0] >= 0 && p[0] <= width && p[1] >= 0 && p[1] <= height)).length
      for (const points of pieces(line))
        if (points.length > 1) out.strokes.push({ points, color, width: alone ? 3 : 1.6, alpha: aside ? 0.25 : alone || live.chosen === null ? 1 : 0.5, bright: !aside, dashed: which > 0 })
      if (alone && playback.layer < 0) {
        const dots = way.flatMap((row) => {
          const p = at(row)
          return p ? [{ at: p, text: String(cloud.labels.layer[row]) }] : []
        })
        out.strokes.push({ points: [], color, width: 3, alpha: 1, dots })
      }
      if (!head || aside) continue
      drawn = true
      if (live.near && live.chosen?.which === which && cloud.components[cloud.labels.component[way[0]]] === live.component) {
        const from = at(way.find((r) => cloud.labels.layer[r] === live.near!.layer) ?? way[shown])
        for (const row of live.near.rows) {
          const place = to(...view.placeOf(row)!, view.cloud!.labels.layer[row])
          if (from && place) out.strokes.push({ points: [from, place], color, width: 1, alpha: 0.7 })
        }
      }
      if (!(alone && playback.layer < 0)) out.marks.push({ at: head, radius: token === last || alone ? 5 : 3.5, color, filled: true })
      const label: Label = { at: [head[0], head[1] - (alone && playback.layer < 0 ? 17 : 12)], text: seen(prompt.tokens[token].text) || '(empty)', size: token === last || alone ? 13 : 11, strong: token === last || alone, color }
      if (spots.place(label, alone)) out.labels.push(label)
    }
    const name = live.nameOf(which)
    if (drawn) out.keys.push({ sign: cells ? 'dark' : 'thick', color, text: chosen >= 0 ? `${name}: one token` : cells || !cloud.hasLayers ? name : `${name}, from layer to layer` })
  })
}

/** Everything drawn over the points, in pixels: for the screen, whose lowest `foot` are text, and for files alike. */
export function overlay(view: View, foot = 0): Overlay {
  const out: Overlay = { axes: [], strokes: [], marks: [], labels: [], keys: [], keysFrom: 0, scale: null, shownPaths: 0, ofPaths: 0, tornPaths: 0, shownLines: 0, ofLines: 0, beyond: 0 }
  const { scene, cloud } = view
  if (!scene || !cloud) return out
  const matrix = scene.camera.matrix()
  const { width, height } = scene
  const runs = scene.cells.length > 0 && scene.cells[0].layer < 0
  /** Layers have a picture each. */
  const cells = scene.cells.length > 0 && !runs
  const sides = runs ? [0, 1] : [0]
  /** Of a layer, or of a run: in its own part of the picture, where they are side by side. */
  const to = (x: number, y: number, z: number, layer: number, side = 0): P2 | null => {
    const place = project(matrix, x, y, z, scene.camera.width, scene.camera.height)
    if (!place || !scene.cells.length) return place
    const cell = runs ? scene.cells[side] : scene.cells.find((c) => c.layer === layer)
    return cell && place[0] > 0 && place[1] > 0 && place[0] < cell.width && place[1] < cell.height ? [place[0] + cell.x, place[1] + cell.y] : null
  }
  const at = (row: number, side = 0): P2 | null => {
    const place = view.placeOf(row, side)
    return place && to(...place, cloud.labels.layer[row], side)
  }
  /** Where a row is on no way to anywhere. */
  const resting = (row: number, side: number): [number, number, number] | null => {
    if (side) return view.comparison.placeOf(row, 0)
    const { positions } = view.places
    return [positions[3 * row], positions[3 * row + 1], positions[3 * row + 2]]
  }
  const fixed = (row: number, side = 0): P2 | null => {
    const place = row < 0 ? null : resting(row, side)
    return place && to(...place, cloud.labels.layer[row], side)
  }
  const ink = view.colors.dark ? '#ffffff' : '#000000'
  const soft = view.colors.dark ? '#a3abb6' : '#565d66'
  const orange = view.colors.dark ? '#ffd34d' : '#c2410c'
  const key = (sign: Key['sign'], color: string, text: string) => out.keys.push({ sign, color, text })
  const spots = new Spots(width, height)

  if (scene.camera.pose.dim === 3 && !cells) {
    const corner: P2 = [width - 62, 62]
    const axes = view.axes.map((a) => `${cloud.info.method === 'pca' ? 'PC' : ''}${a + 1}`)
    scene.camera.directions().forEach(([x, y], k) => {
      out.axes.push({ from: corner, to: [corner[0] + 36 * x, corner[1] - 36 * y], text: axes[k] })
    })
    spots.block(corner[0] - 50, 0, width, corner[1] + 50)
  }

  if (runs && view.comparison.lines) {
    // In the second run's picture: from where the first one has them.
    const rows = view.marks.selectedCount ? movedRows(view) : view.picking.picked >= 0 ? [view.picking.picked] : []
    const step = Math.max(1, Math.ceil(rows.length / MOST_LINES))
    out.ofLines = rows.length
    for (let i = 0; i < rows.length; i += step) {
      const from = view.placeOf(rows[i])
      const a = from && to(...from, -1, 1)
      const b = at(rows[i], 1)
      if (!a || !b) continue
      ++out.shownLines
      out.strokes.push({ points: [a, b], color: ink, width: 1.4, alpha: 0.7 })
      if (rows.length === 1) out.marks.push({ at: a, radius: 3, color: ink })
    }
    if (out.shownLines) key('line', ink, 'from its place in the first run')
  } else if (view.comparison.otherPositions && view.comparison.lines && !cells) {
    const rows = movedRows(view)
    const step = Math.max(1, Math.ceil(rows.length / MOST_LINES))
    out.ofLines = rows.length
    for (let i = 0; i < rows.length; i += step) {
      const r = rows[i]
      const a = fixed(r)
      const b = to(view.comparison.otherPositions[3 * r], view.comparison.otherPositions[3 * r + 1], view.comparison.otherPositions[3 * r + 2], -1)
      if (!a || !b) continue
      ++out.shownLines
      out.strokes.push({ points: [a, b], color: view.colors.rowColor(r), width: 1.2, alpha: view.marks.selectedCount ? 0.9 : 0.6 })
    }
    if (out.shownLines) key('line', soft, 'from the first run to the second')
  }
  if (view.comparison.ghostly && !runs) key('ring', soft, 'the second run’s places')

  if (!cells) {
    const curve = sides.flatMap((side) => pieces(positionCurve(view).map((row) => at(row, side))).filter((p) => p.length > 1))
    for (const points of curve) out.strokes.push({ points, color: ink, width: 1, alpha: 0.25 })
    if (curve.length) key('line', soft, 'positions, from first to last')
  }

  const numbered = (line: (P2 | null)[], layers: number[], color: string) => {
    for (const points of pieces(line)) if (points.length > 1) out.strokes.push({ points, color, width: 3, alpha: 1 })
    const dots = line.flatMap((p, i) => (p ? [{ at: p, text: String(layers[i]) }] : []))
    out.strokes.push({ points: [], color, width: 3, alpha: 1, dots })
  }

  const { whole } = view.ways
  const looked = view.picking.picked < 0 ? -1 : cloud.labels.token[view.picking.picked]
  if (whole && !cells && (looked < 0 || looked === whole.token)) {
    const { positions } = view.ways
    numbered(whole.layers.map((layer, i) => to(positions[3 * i], positions[3 * i + 1], positions[3 * i + 2], layer)), whole.layers, ink)
    const lacks = whole.layers.filter((layer) => cloud.find(whole.component, layer, whole.token) < 0).length
    key('thick', ink, `its whole way; ${lacks ? `${lacks} of ${whole.layers.length} layers are not on this map` : 'numbers are layers'}`)
  }

  if (view.paths && cloud.hasLayers) {
    const { rows, of } = pathRows(view)
    out.shownPaths = rows.length
    out.ofPaths = of
    const ways = rows.map((row) => cloud.way(row))
    const complete = ways.filter((way) => way.every((r) => r >= 0))
    out.tornPaths = ways.length - complete.length
    if (!cells) for (const side of sides) ways.forEach((way, i) => {
      const color = css(categoryColor(i % 6, view.colors.dark))
      // Gaps stay: a line over layers that the map lacks would claim to know the way.
      const line = way.map((r) => fixed(r, side))
      if (rows.length === 1) return numbered(line, way.map((r) => (r < 0 ? -1 : cloud.labels.layer[r])), ink)
      for (const piece of pieces(line)) {
        if (piece.length > 1) out.strokes.push({ points: piece, color, width: 1.2, alpha: rows.length > 20 ? 0.35 : 0.75 })
        else out.marks.push({ at: piece[0], radius: 3, color })
      }
    })
    const who = cloud.averages ? 'averages' : 'tokens'
    if (rows.length === 1 && !cells) key('thick', ink, `its way; numbers are layers`)
    if (rows.length > 1 && !cells) key('line', css(categoryColor(0, view.colors.dark)), `ways of single ${who}`)
    // Of whole ways alone: a mean over other tokens at each layer would jump where they change.
    if (complete.length > 1 && !cells) {
      for (const side of sides) {
        const means = meanWay(complete, cloud, (row) => resting(row, side))
        numbered(means.map(({ place, layer }) => to(...place, layer, side)), means.map(({ layer }) => layer), ink)
      }
      key('thick', ink, `mean of ${complete.length === rows.length ? 'them' : `the ${complete.length} whole ones`}; numbers are layers`)
    }
  }

  drawPrompts(view, out, spots, to, cells)

  // --- rings and labels --------------------------------------------------------------------------------------------

  const ring = view.pointSize / 2 + 6
  if (view.picking.picked >= 0 && view.picking.near?.full && !cells) {
    for (const side of sides) {
      const from = at(view.picking.picked, side)
      for (const r of view.picking.near.full.rows) {
        const b = at(r, side)
        if (from && b) out.strokes.push({ points: [from, b], color: ink, width: 1, alpha: 0.5 })
      }
      if (from && !side) key('line', ink, `to its nearest in the full space${runs ? ' of the first run' : ''}`)
    }
  }
  if (view.picking.hovered >= 0 && view.picking.hovered !== view.picking.picked) {
    for (const side of sides) {
      const p = at(view.picking.hovered, side)
      if (p) out.marks.push({ at: p, radius: view.pointSize / 2 + 4, color: ink })
    }
  }
  if (view.picking.picked >= 0) {
    for (const side of sides) {
      const p = at(view.picking.picked, side)
      if (!p) continue
      out.marks.push({ at: p, radius: ring, color: orange })
      if (!side) out.keys.unshift({ sign: 'ring', color: orange, text: 'the picked point' })
      const row = view.picking.picked
      const label: Label = { at: [p[0], p[1] - ring - 9], text: seen(cloud.piece(row)) || `@${cloud.labels.position[row]}`, size: 13, strong: true }
      if (label.at[1] < 12) label.at = [p[0], p[1] + ring + 11]
      spots.place(label, true)
      out.labels.push(label)
    }
  }
  if (view.marks.found) key('dark', ink, 'found by the search')
  if (view.labels && view.marks.any) {
    const rows = labelledRows(view)
    // Where layers have a picture each, it says which; and each has its share.
    const tell = teller(cloud, rows, !cells)
    const share = MOST_LABELS / Math.max(1, cells ? scene.cells.length : 1)
    for (const side of sides) {
      const told = new Map<number, number>()
      for (const row of rows) {
        const picture = cells ? cloud.labels.layer[row] : 0
        const n = told.get(picture) ?? 0
        if (n >= share) continue
        const p = row === view.picking.picked ? null : at(row, side)
        if (!p) continue
        const label: Label = { at: [p[0], p[1] - view.pointSize / 2 - 9], text: tell(row), size: 11 }
        if (label.text && spots.place(label)) {
          out.labels.push(label)
          told.set(picture, n + 1)
        }
      }
    }
  }
  // In the first of many pictures below what it is of.
  out.keysFrom = cells ? 26 : 10
  if (out.keys.length) spots.block(0, 0, 36 + 6 * Math.max(...out.keys.map((k) => k.text.length)), out.keysFrom + 6 + 18 * out.keys.length)
  for (const { x, y, width: w, height: h } of scene.cells)
    out.strokes.push({ points: [[x, y + h], [x + w, y + h], [x + w, y]], color: ink, width: 1, alpha: runs ? 0.4 : 0.15 })
  if (runs) {
    for (const { side, x, y, width: w, height: h } of scene.cells) {
      const label: Label = { at: [x + w / 2, y + h - 14], text: view.manifest!.runs[side].name, size: 13, strong: true }
      spots.place(label, true)
      out.labels.push(label)
    }
  }
  if (cells) {
    for (const { layer, x, y } of scene.cells) out.labels.push({ at: [x + 12 + 3 * cloud.layerName(layer).length, y + 12], text: cloud.layerName(layer), size: 12, strong: true })
  } else if (view.labels && !view.playback.playing && (runs || !view.comparison.other)) {
    for (const { row, text, token } of namesShown(view)) {
      const p = at(row)
      if (!p) continue
      const label: Label = text ? { at: [p[0], p[1]], text, below: token || undefined, size: 13, strong: true } : { at: [p[0], p[1]], text: token, size: 13, strong: true }
      if (spots.place(label)) out.labels.push(label)
    }
  }

  const perPixel = ((2 * scene.camera.pose.reach) / scene.camera.height) * view.places.scale
  const { pixels, units } = scaleLength(perPixel)
  if (Number.isFinite(pixels) && pixels < width - 40)
    // Above the name of a run.
    out.scale = { at: [16, height - Math.max(view.footer, foot + 12) - (runs ? 32 : 10)], pixels, text: `${short(units)}${cloud.info.method === 'pca' ? '' : ' on the map'}${scene.camera.pose.dim === 3 ? ', in the middle' : ''}` }
  return out
}
