import type { View } from '../state/view.svelte'
import { overlay, type Key, type Overlay } from '../map/overlay'
import { paintOverlay } from '../map/paint'
import { coloringName } from '../state/colors.svelte'
import { grouped } from '../state/words'
import { project } from '../map/camera'

/** SVG draws each point as a circle up to here; beyond, the points become one picture inside the SVG. */
const MOST_CIRCLES = 20_000

export function save(name: string, type: string, data: BlobPart): void {
  const url = URL.createObjectURL(new Blob([data], { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

const paperOf = (view: View) => (view.colors.dark ? '#101318' : '#ffffff')
const inkOf = (view: View) => (view.colors.dark ? '#e7eaee' : '#1b1f24')

export const fileName = (view: View, ending: string) => `${view.run?.model.name}-${view.cloud?.name}.${ending}`.replace(/[^\w.-]+/g, '-')

/** The rows an export holds: the selected ones, else the found ones, else all that are shown. */
export function exportRows(view: View): number[] {
  const cloud = view.cloud!
  const rows: number[] = []
  const bit = view.marks.selectedCount ? 1 : view.marks.found ? 2 : 0
  for (let i = 0; i < cloud.n; ++i) if (bit ? view.marks.state[i] & bit : view.hiding.visible(i)) rows.push(i)
  return rows
}

/** One record a row, the same for CSV and JSON. */
export function records(view: View, rows: number[]): Record<string, string | number | null>[] {
  const cloud = view.cloud!
  const l = cloud.labels
  const none = (v: number) => (v < 0 ? null : v)
  const axes = view.axes.slice(0, Math.min(3, cloud.dims))
  return rows.map((row) => {
    const record: Record<string, string | number | null> = {
      row,
      component: cloud.components[l.component[row]],
      layer: none(l.layer[row]),
      sequence: none(l.sequence[row]),
      position: none(l.position[row]),
      token: none(l.token[row]),
      token_id: l.token[row] < 0 ? null : cloud.tokens.id(l.token[row]),
      text: cloud.piece(row),
      label: l.label[row] < 0 ? null : (view.run!.labels[l.label[row]] ?? null),
      norm: +cloud.norm(row).toPrecision(5),
    }
    // Of a control whose layers have other numbers: the one that it is.
    if (cloud.header.layer_of) record.layer_is = none(cloud.layerOf(l.layer[row]))
    if (cloud.header.columns.expert) record.expert = none(l.expert[row])
    axes.forEach((a) => (record[`axis${a + 1}`] = cloud.axis(a)![row]))
    return record
  })
}

/** A field that a spreadsheet reads as text, whatever a token holds. */
export function csvField(value: string | number | null): string {
  if (value === null) return ''
  const text = String(value)
  if (typeof value === 'number') return text
  const guarded = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\n\r]/.test(guarded) || guarded !== guarded.trim() ? `"${guarded.replaceAll('"', '""')}"` : guarded
}

export function saveCsv(view: View): void {
  const list = records(view, exportRows(view))
  const keys = Object.keys(list[0] ?? { row: 0 })
  const lines = [keys.join(','), ...list.map((record) => keys.map((key) => csvField(record[key])).join(','))]
  save(fileName(view, 'csv'), 'text/csv', lines.join('\n') + '\n')
}

export function saveJson(view: View): void {
  const rows = records(view, exportRows(view))
  const what = { model: view.run!.model.name, run: view.run!.name, projection: view.cloud!.name, info: view.cloud!.info, rows }
  save(fileName(view, 'json'), 'application/json', JSON.stringify(what, null, 1))
}

/** Colours that are on the picture, and what they say. */
function legendLines(view: View): { text: string; color: string }[] {
  const entries = view.colors.legend().filter((e) => !view.hiding.hidden[e.kind].has(e.index))
  if (entries.length) return entries.slice(0, 24)
  const gradient = view.colors.gradient()
  if (!gradient) return []
  return [
    { text: `${coloringName(view.colors.coloring)} ${gradient.low}`, color: gradient.colors[0] },
    { text: `${coloringName(view.colors.coloring)} ${gradient.high}`, color: gradient.colors.at(-1)! },
  ]
}

function caption(view: View): string {
  const info = view.cloud!.info
  const shown = view.axes.slice(0, view.dim).reduce((sum, a) => sum + (info.explained_variance_ratio?.[a] ?? 0), 0)
  const variance = info.explained_variance_ratio ? `, ${(100 * shown).toFixed(1)} % of the variance on ${view.axes.slice(0, view.dim).map((a) => `PC${a + 1}`).join(', ')}` : ''
  const { layer } = view.playback
  const runs = view.beside.runs ? ` · ${view.manifest!.runs.map((r) => r.name).join(' | ')}, one camera` : ''
  const which = view.beside.layers ? ' · layer by layer, one camera' : layer >= 0 ? ` · ${view.cloud!.layerName(layer)}` : ''
  const sample = view.cloud!.n < info.n_candidates ? `, a sample of ${grouped(info.n_candidates)}` : ''
  return `${view.run!.model.name} · ${view.run!.name} · ${view.cloud!.name} · ${info.method.toUpperCase()}${variance}${which}${runs} · ${grouped(view.hiding.visibleCount)} of ${grouped(view.cloud!.n)} points${sample} · colour: ${coloringName(view.colors.coloring)}`
}

/** Lines no wider than the picture, broken between words; a word that is wider stands alone. */
export function wrapped(text: string, width: number, measure: (line: string) => number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = lines.at(-1)
    if (line !== undefined && measure(`${line} ${word}`) <= width) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

const MARGIN = 12
const LINE = 17
/** Pixels below the picture for so many lines of caption. */
const captionHeight = (lines: string[]) => 12 + LINE * lines.length

/** Colours, then what signs mean, from the top left. */
const legend = (view: View, over: Overlay) => [...legendLines(view), ...over.keys]

/** A picture of the map with legend and caption, twice as fine as the page at least. */
export async function png(view: View): Promise<HTMLCanvasElement> {
  const scene = view.scene!
  const { width, height } = scene
  const ratio = Math.max(2, scene.renderer.getPixelRatio())
  const points = new Image()
  points.src = scene.picture(ratio)
  await points.decode()
  const canvas = document.createElement('canvas')
  const context = canvas.getContext('2d')!
  const font = '12px system-ui, sans-serif'
  context.font = font
  const lines = wrapped(caption(view), width - 2 * MARGIN, (line) => context.measureText(line).width)
  canvas.width = width * ratio
  canvas.height = (height + captionHeight(lines)) * ratio
  context.scale(ratio, ratio)
  context.fillStyle = paperOf(view)
  context.fillRect(0, 0, width, height + captionHeight(lines))
  context.drawImage(points, 0, 0, width, height)
  const over = overlay(view)
  paintOverlay(context, over, paperOf(view), inkOf(view))
  context.font = font
  context.textBaseline = 'middle'
  legend(view, over).forEach((entry, i) => {
    const y = 20 + 18 * i
    context.fillStyle = context.strokeStyle = entry.color
    context.beginPath()
    const sign = 'sign' in entry ? entry.sign : 'dot'
    if (sign === 'line' || sign === 'thick') {
      context.lineWidth = sign === 'thick' ? 4 : 1.5
      context.moveTo(11, y)
      context.lineTo(25, y)
      context.stroke()
    } else {
      context.lineWidth = 2
      context.arc(18, y, 5, 0, 7)
      if (sign === 'dot') context.fill()
      else context.stroke()
    }
    context.fillStyle = inkOf(view)
    context.fillText(entry.text, 30, y)
  })
  lines.forEach((line, i) => context.fillText(line, MARGIN, height + 6 + LINE * (i + 0.5)))
  return canvas
}

export async function savePng(view: View): Promise<void> {
  const canvas = await png(view)
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'))
  if (blob) save(fileName(view, 'png'), 'image/png', blob)
}

const escape = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd')

export function svg(view: View): string {
  const scene = view.scene!
  const cloud = view.cloud!
  const { width, height } = scene
  const matrix = scene.camera.matrix()
  const parts: string[] = []
  const f = (v: number) => v.toFixed(1)
  if (view.hiding.visibleCount <= MOST_CIRCLES && !scene.cells.length) {
    const any = view.marks.selectedCount + view.marks.found > 0
    const drawn: { row: number; x: number; y: number; depth: number }[] = []
    for (let row = 0; row < cloud.n; ++row) {
      if (!view.hiding.visible(row)) continue
      const place = view.placeOf(row)
      if (!place) continue
      const [x, y, z] = place
      const at = project(matrix, x, y, z, width, height)
      if (!at || at[0] < -9 || at[1] < -9 || at[0] > width + 9 || at[1] > height + 9) continue
      drawn.push({ row, x: at[0], y: at[1], depth: matrix[2] * x + matrix[6] * y + matrix[10] * z })
    }
    if (view.dim === 3) drawn.sort((a, b) => b.depth - a.depth)
    const colors = view.colors.rowColors(drawn.map((d) => d.row))
    const r = f(view.pointSize / 2)
    drawn.forEach(({ row, x, y }, i) => {
      const dim = any && !view.marks.state[row] ? ' opacity="0.18"' : ''
      parts.push(`<circle cx="${f(x)}" cy="${f(y)}" r="${r}" fill="${colors[i]}"${dim}/>`)
    })
  } else parts.push(`<image width="${width}" height="${height}" href="${scene.picture(2)}"/>`)
  const over = overlay(view)
  for (const s of over.strokes) {
    const path = s.points.map(([x, y]) => `${f(x)},${f(y)}`).join(' ')
    if (s.points.length && s.bright) parts.push(`<polyline points="${path}" fill="none" stroke="${paperOf(view)}" stroke-width="${s.width + 2.5}" opacity="${s.alpha}"/>`)
    if (s.points.length) parts.push(`<polyline points="${path}" fill="none" stroke="${s.color}" stroke-width="${s.width}" opacity="${s.alpha}"${s.dashed ? ' stroke-dasharray="7 5"' : ''}/>`)
    for (const dot of s.dots ?? [])
      parts.push(
        `<circle cx="${f(dot.at[0])}" cy="${f(dot.at[1])}" r="7" fill="${s.color}"/><text x="${f(dot.at[0])}" y="${f(dot.at[1] + 3.5)}" font-size="10" text-anchor="middle" fill="${paperOf(view)}">${escape(dot.text)}</text>`,
      )
  }
  for (const { from, to, text } of over.axes)
    parts.push(
      `<line x1="${f(from[0])}" y1="${f(from[1])}" x2="${f(to[0])}" y2="${f(to[1])}" stroke="${inkOf(view)}" opacity="0.65"/><text x="${f(to[0])}" y="${f(to[1])}" font-size="11" fill="${inkOf(view)}">${escape(text)}</text>`,
    )
  for (const m of over.marks)
    parts.push(`<circle cx="${f(m.at[0])}" cy="${f(m.at[1])}" r="${f(m.radius)}" fill="${m.filled ? m.color : 'none'}" stroke="${m.filled ? paperOf(view) : m.color}" stroke-width="2"/>`)
  for (const { at: [x, y], text, below, size, strong, color } of over.labels) {
    const write = (words: string, dy: number, size: number, weight: string) =>
      parts.push(
        `<text x="${f(x)}" y="${f(y + dy + 0.35 * size)}" font-size="${size}"${weight} text-anchor="middle" fill="${color ?? inkOf(view)}" stroke="${paperOf(view)}" stroke-width="3" paint-order="stroke">${escape(words)}</text>`,
      )
    write(text, 0, size, strong ? ' font-weight="600"' : '')
    if (below) write(below, 1.25 * size, size - 1, '')
  }
  if (over.scale) {
    const { at: [x, y], pixels, text } = over.scale
    parts.push(
      `<path d="M${f(x)} ${f(y - 4)}v4h${f(pixels)}v-4" fill="none" stroke="${inkOf(view)}" stroke-width="1.5"/><text x="${f(x + pixels + 6)}" y="${f(y + 2)}" font-size="11" fill="${inkOf(view)}">${escape(text)}</text>`,
    )
  }
  legend(view, over).forEach((entry, i) => {
    const y = 20 + 18 * i
    parts.push(signOf(entry, y) + `<text x="30" y="${y + 4}" font-size="12" fill="${inkOf(view)}">${escape(entry.text)}</text>`)
  })
  // Whatever the reader's font is: some are wide.
  const lines = wrapped(caption(view), width - 2 * MARGIN, (line) => 7.2 * line.length)
  lines.forEach((line, i) => parts.push(`<text x="${MARGIN}" y="${f(height + 10 + LINE * (i + 0.5))}" font-size="12" fill="${inkOf(view)}">${escape(line)}</text>`))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + captionHeight(lines)}" font-family="sans-serif"><rect width="100%" height="100%" fill="${paperOf(view)}"/>${parts.join('\n')}</svg>\n`
}

function signOf(entry: { color: string } | Key, y: number): string {
  const sign = 'sign' in entry ? entry.sign : 'dot'
  if (sign === 'line' || sign === 'thick') return `<line x1="11" y1="${y}" x2="25" y2="${y}" stroke="${entry.color}" stroke-width="${sign === 'thick' ? 4 : 1.5}"/>`
  return `<circle cx="18" cy="${y}" r="5" ${sign === 'dot' ? `fill="${entry.color}"` : `fill="none" stroke="${entry.color}" stroke-width="2"`}/>`
}

export const saveSvg = (view: View): void => save(fileName(view, 'svg'), 'image/svg+xml', svg(view))
