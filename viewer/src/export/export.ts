import type { View } from '../state/view.svelte'
import { overlay, paintOverlay } from '../map/overlay'
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
      token_id: l.token[row] < 0 ? null : cloud.tokens.tokenId[l.token[row]],
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

function legendLines(view: View): { text: string; color: string }[] {
  const entries = view.colors.legend().filter((e) => !view.hiding.hidden[e.kind].has(e.index))
  if (entries.length) return entries.slice(0, 24)
  const gradient = view.colors.gradient()
  if (!gradient) return []
  return [
    { text: `${view.colors.coloring} ${gradient.low}`, color: gradient.colors[0] },
    { text: `${view.colors.coloring} ${gradient.high}`, color: gradient.colors.at(-1)! },
  ]
}

function caption(view: View): string {
  const info = view.cloud!.info
  const shown = view.axes.slice(0, view.dim).reduce((sum, a) => sum + (info.explained_variance_ratio?.[a] ?? 0), 0)
  const variance = info.explained_variance_ratio ? `, ${(100 * shown).toFixed(1)} % of the variance` : ''
  return `${view.run!.model.name} · ${view.cloud!.name} · ${info.method.toUpperCase()}${variance} · ${view.hiding.visibleCount} of ${info.n_candidates} points`
}

export async function savePng(view: View): Promise<void> {
  const scene = view.scene!
  const { width, height } = scene.camera
  const ratio = scene.renderer.getPixelRatio()
  const points = new Image()
  points.src = scene.picture()
  await points.decode()
  const canvas = document.createElement('canvas')
  canvas.width = width * ratio
  canvas.height = (height + 28) * ratio
  const context = canvas.getContext('2d')!
  context.scale(ratio, ratio)
  context.fillStyle = paperOf(view)
  context.fillRect(0, 0, width, height + 28)
  context.drawImage(points, 0, 0, width, height)
  paintOverlay(context, overlay(view), paperOf(view), inkOf(view))
  context.font = '12px system-ui, sans-serif'
  context.textBaseline = 'middle'
  legendLines(view).forEach(({ text, color }, i) => {
    context.fillStyle = color
    context.beginPath()
    context.arc(18, 20 + 18 * i, 5, 0, 7)
    context.fill()
    context.fillStyle = inkOf(view)
    context.fillText(text, 30, 20 + 18 * i)
  })
  context.fillStyle = inkOf(view)
  context.fillText(caption(view), 12, height + 14)
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'))
  if (blob) save(fileName(view, 'png'), 'image/png', blob)
}

const escape = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd')

export function svg(view: View): string {
  const scene = view.scene!
  const cloud = view.cloud!
  const { width, height } = scene.camera
  const matrix = scene.camera.matrix()
  const parts: string[] = []
  const f = (v: number) => v.toFixed(1)
  if (view.hiding.visibleCount <= MOST_CIRCLES) {
    const any = view.marks.selectedCount + view.marks.found > 0
    const drawn: { row: number; x: number; y: number; depth: number }[] = []
    for (let row = 0; row < cloud.n; ++row) {
      if (!view.hiding.visible(row)) continue
      const [x, y, z] = view.placeOf(row)
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
  } else parts.push(`<image width="${width}" height="${height}" href="${scene.picture()}"/>`)
  const over = overlay(view)
  for (const s of over.strokes) {
    const path = s.points.map(([x, y]) => `${f(x)},${f(y)}`).join(' ')
    parts.push(`<polyline points="${path}" fill="none" stroke="${s.color}" stroke-width="${s.width}" opacity="${s.alpha}"/>`)
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
    parts.push(`<circle cx="${f(m.at[0])}" cy="${f(m.at[1])}" r="${f(m.radius)}" fill="none" stroke="${m.color}" stroke-width="2"/>`)
  legendLines(view).forEach(({ text, color }, i) => {
    parts.push(`<circle cx="18" cy="${20 + 18 * i}" r="5" fill="${color}"/><text x="30" y="${24 + 18 * i}" font-size="12" fill="${inkOf(view)}">${escape(text)}</text>`)
  })
  parts.push(`<text x="12" y="${height + 18}" font-size="12" fill="${inkOf(view)}">${escape(caption(view))}</text>`)
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + 28}" font-family="sans-serif"><rect width="100%" height="100%" fill="${paperOf(view)}"/>${parts.join('\n')}</svg>\n`
}

export const saveSvg = (view: View): void => save(fileName(view, 'svg'), 'image/svg+xml', svg(view))
