import { untrack } from 'svelte'
import { Cloud, loadAxes, loadCloud, loadTokens, type Tokens } from '../data/cloud'
import type { Source } from '../data/source'
import type { Job, Manifest, RunInfo } from '../data/types'
import { restPose, type Pose } from '../map/camera'
import type { MapScene } from '../map/scene'
import type { Coloring } from '../map/shaders'
import { categoryColor, componentColor, css, sequential, type Rgb } from '../color/palette'
import { isVisible, openFilter, type Filter, type FilterColumns } from '../select/visible'
import { SearchClient } from '../select/client'
import { read, write, type Shared } from './url'

export const NEIGHBORS = 10
const LAYER_SECONDS = 1.1
const LISTED_TOKENS = 24
/** A place outside the world: the shader leaves it out. */
const NOWHERE = 1e30

type Kind = 'component' | 'layer' | 'label' | 'token' | 'expert'
export interface LegendEntry {
  kind: Kind
  index: number
  text: string
  color: string
  count: number
}
export interface Gradient {
  low: string
  high: string
  colors: string[]
  scale: string
}
export interface Neighbors {
  rows: number[]
  distances: number[]
  searched?: number
}

const count = new Intl.NumberFormat('en')
export const grouped = (n: number) => count.format(n)
/** Four digits at most, for people. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2)
  return String(+value.toPrecision(4))
}
/** A token for eyes: spaces and line breaks have a sign. */
export const seen = (piece: string) => piece.replaceAll(' ', '·').replaceAll('\\n', '⏎').replaceAll('\n', '⏎').replaceAll('\t', '⇥')

/** Everything that is chosen, shown and computed. One instance a page. */
export class View {
  manifest = $state.raw<Manifest | null>(null)
  run = $state.raw<RunInfo | null>(null)
  cloud = $state.raw<Cloud | null>(null)
  tokens = $state.raw<Tokens | null>(null)
  axes = $state.raw<number[]>([0, 1, 2])
  dim = $state<2 | 3>(3)
  coloring = $state<Coloring>('component')
  pointSize = $state(5)
  density = $state(false)
  hidden = $state.raw<Record<Kind, Set<number>>>(View.nothingHidden())
  showFirst = $state(true)
  /** The layer that is played; -1: all are shown. */
  layer = $state(-1)
  mix = $state(0)
  playing = $state(false)
  paths = $state(false)
  other = $state(0)
  ghosts = $state(true)
  lines = $state(true)
  matched = $state<number | null>(null)
  displacement = $state<number | null>(null)
  picked = $state(-1)
  hovered = $state(-1)
  search = $state('')
  found = $state(0)
  selectedCount = $state(0)
  visibleCount = $state(0)
  lassoMilliseconds = $state<number | null>(null)
  heat = $state('')
  theme = $state<'light' | 'dark'>('light')
  loading = $state('')
  error = $state('')
  noWebGL = $state(false)
  near = $state.raw<{ row: number; full: Neighbors | null; map: Neighbors | null; error: string } | null>(null)
  job = $state.raw<Job | null>(null)
  tour = $state(-1)
  /** Counts changes of the camera, for what is drawn over the map. */
  moved = $state(0)

  scene: MapScene | null = null
  readonly searcher = new SearchClient()
  positions: Float32Array = new Float32Array(0)
  otherPositions: Float32Array | null = null
  state: Uint8Array = new Uint8Array(0)
  filter: Filter = openFilter()
  private center = [0, 0, 0]
  private scale = 1
  private frame = 0
  private lastTick = 0
  private loads = 0
  private restored: Shared = {}
  private tokensOf = new Map<number, Promise<Tokens>>()
  private urlTimer = 0

  constructor(readonly source: Source) {}

  static nothingHidden(): Record<Kind, Set<number>> {
    return { component: new Set(), layer: new Set(), label: new Set(), token: new Set(), expert: new Set() }
  }

  // --- loading ---------------------------------------------------------------------------------------------------

  async start(hash: string): Promise<void> {
    const shared = read(hash)
    this.theme = shared.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')
    try {
      this.manifest = await this.source.json<Manifest>('manifest')
      const run = this.manifest.runs.find((r) => r.name === shared.run) ?? this.manifest.runs[0]
      await this.openRun(run, shared)
    } catch (error) {
      this.fail(error)
    }
  }

  fail(error: unknown): void {
    this.loading = ''
    this.error = error instanceof Error ? error.message : String(error)
  }

  /** What there is now: projections made meanwhile, and what a run under way has grown by. */
  async refresh(): Promise<void> {
    try {
      this.manifest = await this.source.json<Manifest>('manifest')
    } catch (error) {
      return this.fail(error)
    }
    const before = this.run
    const run = this.manifest.runs.find((r) => r.id === before?.id) ?? this.manifest.runs[0]
    const grown = run.n_tokens !== before?.n_tokens
    if (grown) this.tokensOf.delete(run.id)
    if (grown || !this.cloud) await this.openRun(run, this.shared())
    else this.run = run
  }

  async openRun(run: RunInfo, shared: Shared = {}): Promise<void> {
    this.run = run
    this.heat = shared.heat && run.norm_maps.includes(shared.heat) ? shared.heat : defaultHeat(run)
    this.cloud = null
    this.scene?.clearCloud()
    this.redraw()
    this.tokens = null
    this.error = ''
    if (!run.present) return this.fail(new Error('The folder of this run is gone: it was deleted or moved.'))
    void this.runTokens(run).then(
      (tokens) => {
        if (this.run?.id === run.id) this.tokens = tokens
      },
      (error) => this.fail(error),
    )
    const usable = run.projections.filter((p) => p.info.n_rows > 0)
    // Unit vectors show directions; raw ones are owned by whoever is loud.
    const telling = (p: (typeof usable)[number]) => !p.info.constant && p.info.selection.normalize === 'unit' && p.info.selection.mean.length === 0
    const first = usable.find((p) => p.name === shared.projection) ?? usable.find(telling) ?? usable.find((p) => !p.info.constant) ?? usable[0]
    if (first) await this.openProjection(first.name, shared)
  }

  private runTokens(run: RunInfo): Promise<Tokens> {
    let tokens = this.tokensOf.get(run.id)
    if (!tokens) {
      tokens = loadTokens(this.source, run.id)
      tokens.catch(() => this.tokensOf.delete(run.id))
      this.tokensOf.set(run.id, tokens)
    }
    return tokens
  }

  async openProjection(name: string, shared: Shared = {}): Promise<void> {
    const run = this.run
    const entry = run?.projections.find((p) => p.name === name)
    if (!run || !entry) return
    const load = ++this.loads
    this.loading = `Loading ${grouped(entry.info.n_rows)} points`
    this.error = ''
    this.stopPlaying()
    const axes = (shared.axes ?? [0, 1, 2]).map((a) => Math.min(a, entry.info.dims - 1))
    try {
      const cloud = await loadCloud(this.source, run, name, [...new Set(axes)], this.runTokens(run))
      if (load !== this.loads) return
      this.restored = shared
      this.hidden = View.nothingHidden()
      if (shared.hide) for (const kind of Object.keys(this.hidden) as Kind[]) this.hidden[kind] = new Set(shared.hide[kind])
      this.layer = -1
      this.mix = 0
      this.picked = this.hovered = -1
      this.near = null
      this.search = shared.search ?? ''
      this.showFirst = shared.first ?? true
      this.paths = shared.paths ?? false
      this.other = shared.other ?? 0
      this.density = shared.density ?? false
      this.pointSize = shared.size ?? (cloud.n > 300_000 ? 2 : cloud.n > 50_000 ? 3 : cloud.n > 3000 ? 5 : 8)
      this.dim = cloud.dims < 3 ? 2 : (shared.dim ?? this.dim)
      const usable = colorable(cloud, run)
      this.coloring = usable.includes(shared.color!) ? shared.color! : usable.includes(this.coloring) && this.cloud ? this.coloring : defaultColoring(cloud)
      this.axes = axes
      this.cloud = cloud
      this.place(shared.pose ?? null)
      if (shared.layer !== undefined && cloud.layers.includes(shared.layer)) this.setLayer(shared.layer)
      if (shared.selected?.length) this.select(shared.selected.filter((r) => r >= 0 && r < cloud.n), 'replace')
      if (this.search) this.runSearch()
      if (shared.pick !== undefined && shared.pick >= 0 && shared.pick < cloud.n) void this.pick(shared.pick)
      this.loading = ''
      if (this.manifest?.compare && run.id === 0) await this.loadOther()
    } catch (error) {
      if (load === this.loads) this.fail(error)
    }
  }

  /** Other principal components of the same cloud. */
  async setAxes(axes: number[]): Promise<void> {
    const cloud = this.cloud
    if (!cloud) return
    try {
      await loadAxes(this.source, cloud, axes)
      if (cloud !== this.cloud) return
      this.axes = axes
      this.otherPositions = null
      this.place(null)
      if (this.manifest?.compare && this.run?.id === 0) await this.loadOther()
    } catch (error) {
      this.fail(error)
    }
  }

  private interleave(columns: (Float32Array | undefined)[], n: number): Float32Array {
    const out = new Float32Array(3 * n)
    for (let k = 0; k < 3; ++k) {
      const column = columns[k]
      if (!column) continue
      const middle = this.center[k]
      for (let i = 0; i < n; ++i) {
        const value = (column[i] - middle) / this.scale
        out[3 * i + k] = value === value ? value : NOWHERE
      }
    }
    return out
  }

  /** Positions on the card and in the worker, scaled so that all but the outermost 0.4 % fit the picture. */
  private place(pose: Pose | null): void {
    const cloud = this.cloud!
    const columns = this.axes.map((a, k) => (k === 2 && cloud.dims < 3 ? undefined : cloud.axis(a)))
    this.scale = 0
    const step = Math.max(1, Math.floor(cloud.n / 40_000))
    columns.forEach((column, k) => {
      if (!column) return
      const sample: number[] = []
      for (let i = 0; i < cloud.n; i += step) if (cloud.labels.position[i] !== 0) sample.push(column[i])
      if (!sample.length) sample.push(...column.subarray(0, 1000))
      const sorted = Float32Array.from(sample).sort()
      const low = sorted[Math.floor(0.002 * (sorted.length - 1))]
      const high = sorted[Math.ceil(0.998 * (sorted.length - 1))]
      this.center[k] = (low + high) / 2
      this.scale = Math.max(this.scale, (high - low) / 2)
    })
    if (!(this.scale > 0)) this.scale = 1
    this.positions = this.interleave(columns, cloud.n)
    this.state = new Uint8Array(cloud.n)
    this.selectedCount = this.found = 0
    this.searcher.load(this.positions, this.columns())
    this.attach(pose)
  }

  /** Hands all to a scene that is new, or new to this cloud. */
  attach(pose: Pose | null): void {
    const { scene, cloud } = this
    if (!scene || !cloud) return
    scene.setCloud(cloud, this.positions)
    scene.setState(this.state, this.selectedCount + this.found > 0)
    this.nextLayers = null
    if (this.otherPositions) scene.setOther(this.otherPositions)
    const wanted = pose ?? this.restored.pose
    this.restored = {}
    this.applyFilter()
    if (wanted) scene.camera.pose = { ...wanted, dim: this.dim }
    else this.home()
    this.applyColors()
    this.redraw()
  }

  /** What a world coordinate is in the projection's own units. */
  unscaled(k: number, value: number): number {
    return value * this.scale + this.center[k]
  }

  private async loadOther(): Promise<void> {
    const cloud = this.cloud!
    this.otherPositions = null
    this.matched = this.displacement = null
    if (cloud.info.method !== 'pca') return
    try {
      const header = await this.source.json<{ n_matched: number }>(`counterpart/${cloud.name}`)
      const columns = await Promise.all(
        this.axes.map((a, k) =>
          k === 2 && cloud.dims < 3 ? undefined : this.source.column(`counterpart/${cloud.name}/axis${a}`).then((b) => new Float32Array(b)),
        ),
      )
      if (cloud !== this.cloud) return
      this.otherPositions = this.interleave(columns, cloud.n)
      this.matched = header.n_matched
      let sum = 0
      let n = 0
      for (let i = 0; i < cloud.n; ++i) {
        if (this.otherPositions[3 * i] >= NOWHERE / 2) continue
        let d = 0
        for (let k = 0; k < 3; ++k) d += (this.otherPositions[3 * i + k] - this.positions[3 * i + k]) ** 2
        sum += Math.sqrt(d)
        ++n
      }
      this.displacement = n ? (sum / n) * this.scale : null
      this.scene?.setOther(this.otherPositions)
      this.redraw()
    } catch (error) {
      this.fail(error)
    }
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  redraw(): void {
    if (this.frame) return
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0
      this.tick(now)
      if (this.scene) {
        this.scene.pointSize = this.pointSize
        this.scene.density = this.density
        this.scene.ghosts = this.ghosts && this.otherPositions !== null && this.other < 1
        this.scene.setMix(this.mix, this.other)
        this.scene.render()
      }
      this.moved = untrack(() => this.moved) + 1
      if (this.playing) this.redraw()
    })
  }

  applyFilter(): void {
    const filter = openFilter()
    for (const i of this.hidden.component) filter.component[i] = 0
    for (const i of this.hidden.layer) filter.layer[Math.min(i + 1, 255)] = 0
    for (const i of this.hidden.label) filter.label[Math.min(i + 1, 255)] = 0
    for (const i of this.hidden.token) {
      if (i < 0) filter.token.fill(0, LISTED_TOKENS)
      else filter.token[i] = 0
    }
    for (const i of this.hidden.expert) filter.expert[i + 1] = 0
    filter.hideFirst = !this.showFirst
    filter.onlyLayer = this.layer
    this.filter = filter
    const cloud = this.cloud
    if (!cloud) return
    let visible = 0
    const columns = this.columns()
    for (let i = 0; i < cloud.n; ++i) if (isVisible(filter, columns, i)) ++visible
    this.visibleCount = visible
    this.scene?.setFilter(filter)
    this.redraw()
  }

  private filterColumns: { cloud: Cloud; columns: FilterColumns } | null = null
  private columns(): FilterColumns {
    const cloud = this.cloud!
    if (this.filterColumns?.cloud !== cloud) {
      const { component, layer, position, label, expert } = cloud.labels
      this.filterColumns = { cloud, columns: { component, layer, position, label, expert, tokenRank: cloud.tokenRank } }
    }
    return this.filterColumns.columns
  }

  visible(row: number): boolean {
    return isVisible(this.filter, this.columns(), row)
  }

  get dark(): boolean {
    return this.theme === 'dark'
  }

  /** Range of the numbers behind a colouring, first tokens left out where they are hidden. */
  private range(by: Coloring): [number, number] {
    const cloud = this.cloud!
    if (by === 'layer') return [cloud.layers[0] ?? 0, cloud.layers.at(-1) ?? 1]
    const first = !this.showFirst
    const values: number[] = []
    const step = Math.max(1, Math.floor(cloud.n / 100_000))
    for (let i = 0; i < cloud.n; i += step) {
      const position = cloud.labels.position[i]
      if (first && position === 0) continue
      if (by === 'norm') {
        if (cloud.normCode[i] !== 65535) values.push(cloud.normCode[i])
      } else if (position >= 0) values.push(position)
    }
    if (!values.length) return [0, 1]
    const sorted = Float64Array.from(values).sort()
    return [sorted[0], sorted[sorted.length - 1]]
  }

  colorOf(by: Coloring, index: number): Rgb {
    const cloud = this.cloud!
    const grey: Rgb = this.dark ? [120, 124, 130] : [150, 150, 150]
    switch (by) {
      case 'component':
        return componentColor(cloud.components[index] ?? '', this.dark)
      case 'label':
      case 'expert':
        return index === 0 ? grey : categoryColor(index - 1, this.dark)
      case 'token':
        return index < LISTED_TOKENS ? categoryColor(index, this.dark) : grey
      case 'sequence':
        return categoryColor(index, this.dark)
      default:
        return sequential(index / 1023, this.dark)
    }
  }

  /** A texture of 1024 colours is all that recolouring sends. */
  applyColors(): void {
    const { cloud, scene } = this
    if (!cloud) return
    const by = this.coloring
    const colors = new Uint8Array(4 * 1024)
    for (let i = 0; i < 1024; ++i) {
      const [r, g, b] = this.colorOf(by, i)
      colors.set([r, g, b, 255], 4 * i)
    }
    scene?.setColors(by, colors, this.range(by))
    scene?.setTheme(this.dark ? [16, 19, 24] : [255, 255, 255], this.dark ? [255, 255, 255] : [0, 0, 0])
    this.redraw()
  }

  rowColor(row: number): string {
    const cloud = this.cloud!
    const { labels } = cloud
    const by = this.coloring
    const fraction = (value: number) => {
      const [low, high] = this.range(by)
      return 1023 * Math.min(1, Math.max(0, (value - low) / Math.max(high - low, 1e-9)))
    }
    const index = {
      component: () => labels.component[row],
      label: () => labels.label[row] + 1,
      token: () => Math.min(1023, cloud.tokenRank[row]),
      sequence: () => labels.sequence[row] & 255,
      expert: () => labels.expert[row] + 1,
      layer: () => fraction(labels.layer[row]),
      position: () => fraction(labels.position[row]),
      norm: () => fraction(cloud.normCode[row] === 65535 ? 0 : cloud.normCode[row]),
    }[by]()
    return css(this.colorOf(by, index))
  }

  /** Colours of many rows at once, for pictures. */
  rowColors(rows: ArrayLike<number>): string[] {
    const table = new Map<string, string>()
    const [low, high] = this.range(this.coloring)
    const { labels, normCode, tokenRank } = this.cloud!
    const by = this.coloring
    return Array.from(rows, (row) => {
      const value =
        by === 'component' ? labels.component[row]
        : by === 'label' ? labels.label[row] + 1
        : by === 'token' ? Math.min(1023, tokenRank[row])
        : by === 'sequence' ? labels.sequence[row] & 255
        : by === 'expert' ? labels.expert[row] + 1
        : Math.round(1023 * Math.min(1, Math.max(0, ((by === 'layer' ? labels.layer[row] : by === 'position' ? labels.position[row] : normCode[row] % 65535) - low) / Math.max(high - low, 1e-9))))
      const key = String(value)
      let color = table.get(key)
      if (!color) table.set(key, (color = css(this.colorOf(by, value))))
      return color
    })
  }

  legend(): LegendEntry[] {
    const cloud = this.cloud
    if (!cloud) return []
    const entry = (kind: Kind, index: number, text: string, color: Rgb, n: number): LegendEntry => ({ kind, index, text, color: css(color), count: n })
    const tally = (values: ArrayLike<number>) => {
      const counts = new Map<number, number>()
      for (let i = 0; i < cloud.n; ++i) counts.set(values[i], (counts.get(values[i]) ?? 0) + 1)
      return counts
    }
    if (this.coloring === 'component') {
      const counts = tally(cloud.labels.component)
      return cloud.components.map((name, i) => entry('component', i, name, this.colorOf('component', i), counts.get(i) ?? 0))
    }
    if (this.coloring === 'layer') {
      const counts = tally(cloud.labels.layer)
      const [low, high] = this.range('layer')
      return cloud.layers.map((layer) =>
        entry('layer', layer, `layer ${layer}`, this.colorOf('layer', (1023 * (layer - low)) / Math.max(1, high - low)), counts.get(layer) ?? 0),
      )
    }
    if (this.coloring === 'label') {
      const counts = tally(cloud.labels.label)
      return [...counts.keys()]
        .sort((a, b) => a - b)
        .map((i) => entry('label', i, i < 0 ? 'no label' : (this.run!.labels[i] ?? `label ${i}`), this.colorOf('label', i + 1), counts.get(i)!))
    }
    if (this.coloring === 'expert') {
      const counts = tally(cloud.labels.expert)
      return [...counts.keys()]
        .sort((a, b) => a - b)
        .map((i) => entry('expert', i, i < 0 ? 'no expert' : `expert ${i}`, this.colorOf('expert', i + 1), counts.get(i)!))
    }
    if (this.coloring === 'token') {
      const listed = cloud.rankedTokens.slice(0, LISTED_TOKENS)
      const entries = listed.map(({ id, count: n }, rank) => entry('token', rank, seen(cloud.tokens.text.get(id) ?? `#${id}`), this.colorOf('token', rank), n))
      const rest = cloud.rankedTokens.slice(LISTED_TOKENS).reduce((sum, t) => sum + t.count, 0)
      if (rest) entries.push(entry('token', -1, `${grouped(cloud.rankedTokens.length - LISTED_TOKENS)} other tokens`, this.colorOf('token', 999), rest))
      return entries
    }
    return []
  }

  gradient(): Gradient | null {
    const cloud = this.cloud
    const by = this.coloring
    if (!cloud || !['layer', 'position', 'norm'].includes(by)) return null
    const [low, high] = this.range(by)
    const colors = Array.from({ length: 24 }, (_, i) => css(sequential(i / 23, this.dark)))
    const say = (v: number) => (by === 'norm' ? short(cloud.normOf(v)) : String(v))
    return { low: say(low), high: say(high), colors, scale: by === 'norm' ? 'logarithmic' : '' }
  }

  toggle(kind: Kind, index: number, alone: boolean): void {
    const next = { ...this.hidden, [kind]: new Set(this.hidden[kind]) }
    if (alone) {
      const others = this.legend().map((e) => e.index).filter((i) => i !== index)
      const isAlone = others.every((i) => next[kind].has(i)) && !next[kind].has(index)
      next[kind] = new Set(isAlone ? [] : others)
    } else if (!next[kind].delete(index)) next[kind].add(index)
    this.hidden = next
    this.applyFilter()
  }

  setDim(dim: 2 | 3): void {
    if (!this.cloud || (dim === 3 && this.cloud.dims < 3)) return
    this.dim = dim
    this.home()
  }

  /** From the front, with all that is shown in the picture. */
  home(): void {
    const { cloud, scene } = this
    if (!cloud || !scene) return
    scene.camera.pose = restPose(this.dim)
    const rows: number[] = []
    const step = Math.max(1, Math.floor(this.visibleCount / 40_000))
    for (let i = 0, seen = 0; i < cloud.n; ++i) if (this.visible(i) && seen++ % step === 0) rows.push(i)
    if (rows.length) scene.camera.fit(this.positions, rows)
    this.fitted = JSON.stringify(scene.camera.pose)
    this.redraw()
  }
  private fitted = ''

  /** A view that nobody has turned yet is fitted anew. */
  resize(width: number, height: number): void {
    if (!this.scene) return
    this.scene.setSize(width, height)
    if (JSON.stringify(this.scene.camera.pose) === this.fitted) this.home()
    this.redraw()
  }

  // --- layers ----------------------------------------------------------------------------------------------------

  private nextLayers: Float32Array | null = null

  private ensureNext(): void {
    const cloud = this.cloud
    if (this.nextLayers || !cloud) return
    const rows = cloud.nextRows()
    const next = new Float32Array(3 * cloud.n)
    for (let i = 0; i < cloud.n; ++i) {
      next[3 * i] = this.positions[3 * rows[i]]
      next[3 * i + 1] = this.positions[3 * rows[i] + 1]
      next[3 * i + 2] = this.positions[3 * rows[i] + 2]
    }
    this.nextLayers = next
    this.scene?.setNext(next)
    this.searcher.setNext(next)
  }

  /** -1: all layers at once. */
  setLayer(layer: number): void {
    if (layer >= 0) this.ensureNext()
    this.layer = layer
    this.mix = 0
    this.applyFilter()
  }

  stepLayer(by: number): void {
    const cloud = this.cloud
    if (!cloud?.hasLayers) return
    this.stopPlaying()
    const at = cloud.layers.indexOf(this.layer)
    const to = at < 0 ? (by > 0 ? 0 : cloud.layers.length - 1) : at + by
    if (to >= 0 && to < cloud.layers.length) this.setLayer(cloud.layers[to])
  }

  play(): void {
    const cloud = this.cloud
    if (!cloud?.hasLayers) return
    if (this.playing) return this.stopPlaying()
    if (this.layer < 0 || this.layer === cloud.layers.at(-1)) this.setLayer(cloud.layers[0])
    this.playing = true
    this.lastTick = 0
    this.redraw()
  }

  stopPlaying(): void {
    this.playing = false
  }

  private tick(now: number): void {
    const cloud = this.cloud
    if (!this.playing || !cloud) return
    const seconds = this.lastTick ? Math.min(0.1, (now - this.lastTick) / 1000) : 0
    this.lastTick = now
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
    this.progress += seconds / LAYER_SECONDS
    const t = Math.min(1, this.progress)
    this.mix = calm ? 0 : t * t * (3 - 2 * t)
    if (this.progress < 1) return
    this.progress = 0
    const at = cloud.layers.indexOf(this.layer)
    this.setLayer(cloud.layers[at + 1])
    if (at + 2 >= cloud.layers.length) this.stopPlaying()
  }
  private progress = 0

  /** Where a row is drawn just now. */
  placeOf(row: number): [number, number, number] {
    const at = (k: number) => {
      let v = this.positions[3 * row + k]
      if (this.mix > 0 && this.nextLayers) v += (this.nextLayers[3 * row + k] - v) * this.mix
      if (this.other > 0 && this.otherPositions) v += (this.otherPositions[3 * row + k] - v) * this.other
      return v
    }
    return [at(0), at(1), at(2)]
  }

  // --- choosing --------------------------------------------------------------------------------------------------

  select(rows: ArrayLike<number>, mode: 'replace' | 'add' | 'subtract'): void {
    if (mode === 'replace') for (let i = 0; i < this.state.length; ++i) this.state[i] &= ~1
    const n = rows.length
    for (let i = 0; i < n; ++i) {
      if (mode === 'subtract') this.state[rows[i]] &= ~1
      else this.state[rows[i]] |= 1
    }
    this.countState()
  }

  private countState(): void {
    let selected = 0
    let found = 0
    for (const s of this.state) {
      selected += s & 1
      found += s >> 1
    }
    this.selectedCount = selected
    this.found = found
    this.scene?.setState(this.state, selected + found > 0)
    this.redraw()
  }

  selectedRows(most = Infinity): number[] {
    const rows: number[] = []
    for (let i = 0; i < this.state.length && rows.length < most; ++i) if (this.state[i] & 1) rows.push(i)
    return rows
  }

  clear(): void {
    this.state.fill(0)
    this.search = ''
    this.picked = -1
    this.near = null
    this.lassoMilliseconds = null
    this.countState()
  }

  /** Rows whose token's text holds the words; with quotes, is them. */
  runSearch(): void {
    const cloud = this.cloud
    if (!cloud) return
    for (let i = 0; i < this.state.length; ++i) this.state[i] &= ~2
    const asked = this.search
    if (asked) {
      const exact = asked.length > 1 && asked.startsWith('"') && asked.endsWith('"')
      const text = (exact ? asked.slice(1, -1) : asked).replaceAll('·', ' ')
      const lower = text.toLowerCase()
      const ids = new Set<number>()
      for (const [id, piece] of cloud.tokens.text) if (exact ? piece === text : piece.toLowerCase().includes(lower)) ids.add(id)
      const { token } = cloud.labels
      for (let i = 0; i < cloud.n; ++i) if (token[i] >= 0 && ids.has(cloud.tokens.tokenId[token[i]])) this.state[i] |= 2
    }
    this.countState()
  }

  async lasso(polygon: Float32Array, mode: 'replace' | 'add' | 'subtract'): Promise<number> {
    const { scene, cloud } = this
    if (!scene || !cloud) return 0
    this.stopPlaying()
    const began = performance.now()
    const { rows } = await this.searcher.lasso(scene.camera.matrix(), scene.camera.width, scene.camera.height, polygon, this.filter, this.mix)
    if (cloud !== this.cloud) return 0
    this.lassoMilliseconds = performance.now() - began
    this.select(rows, mode)
    return rows.length
  }

  async pick(row: number): Promise<void> {
    this.picked = row
    this.near = null
    this.redraw()
    const cloud = this.cloud
    if (row < 0 || !cloud) return
    const mine = { row, full: null as Neighbors | null, map: null as Neighbors | null, error: '' }
    const current = () => this.picked === row && cloud === this.cloud
    const onMap = this.searcher.nearest(row, NEIGHBORS, this.dim, this.filter).then((map) => {
      mine.map = map
      if (current()) this.near = { ...mine }
    })
    const inSpace = this.source.live
      ? this.source
          .json<{ rows: number[]; distances: number[]; n_searched: number }>(`runs/${cloud.run.id}/projections/${cloud.name}/nearest?row=${row}&k=${NEIGHBORS}`)
          .then(
            (a) => {
              mine.full = { rows: a.rows, distances: a.distances, searched: a.n_searched }
              if (current()) this.near = { ...mine }
            },
            (error: Error) => {
              mine.error = error.message
              if (current()) this.near = { ...mine }
            },
          )
      : Promise.resolve()
    await Promise.all([onMap, inSpace])
  }

  /** Rows at a place of the heat map. */
  rowsAt(layer: number, position: number): number[] {
    const cloud = this.cloud
    if (!cloud) return []
    const rows: number[] = []
    for (let i = 0; i < cloud.n; ++i)
      if (cloud.labels.position[i] === position && (cloud.labels.layer[i] === layer || cloud.labels.layer[i] < 0)) rows.push(i)
    return rows
  }

  // --- projections to be made ------------------------------------------------------------------------------------

  /** False when it was cancelled. */
  async makeProjection(request: Record<string, unknown>): Promise<boolean> {
    const { id } = await this.source.send<{ id: number }>('POST', 'jobs', { ...request, run: this.run!.id })
    for (;;) {
      this.job = await this.source.json<Job>(`jobs/${id}`)
      if (this.job.state !== 'running') break
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    if (this.job.state === 'failed') throw new Error(this.job.error ?? 'the projection failed')
    const { name, state } = this.job
    this.job = null
    if (state !== 'done') return false
    await this.refresh()
    await this.openProjection(name)
    return true
  }

  async cancelJob(): Promise<void> {
    if (this.job) await this.source.send('DELETE', `jobs/${this.job.id}`)
  }

  // --- sharing ---------------------------------------------------------------------------------------------------

  shared(): Shared {
    return {
      run: this.run?.name,
      projection: this.cloud?.name,
      axes: this.axes,
      dim: this.dim,
      color: this.coloring,
      size: this.pointSize,
      density: this.density,
      hide: {
        component: [...this.hidden.component],
        layer: [...this.hidden.layer],
        label: [...this.hidden.label],
        token: [...this.hidden.token],
        expert: [...this.hidden.expert],
      },
      first: this.showFirst,
      layer: this.layer,
      paths: this.paths,
      pick: this.picked,
      search: this.search,
      selected: this.selectedCount <= 400 ? this.selectedRows(401) : [],
      other: this.other,
      heat: this.heat,
      theme: this.theme,
      pose: this.scene?.camera.pose,
    }
  }

  /** Soon, and not at every frame. */
  keepUrl(): void {
    clearTimeout(this.urlTimer)
    this.urlTimer = window.setTimeout(() => {
      if (!this.cloud) return
      history.replaceState(null, '', `${location.pathname}${location.search}#${write(this.shared())}`)
    }, 250)
  }
}

export function colorable(cloud: Cloud, run: RunInfo): Coloring[] {
  const list: Coloring[] = []
  if (cloud.components.length > 0) list.push('component')
  if (cloud.layers.length > 0) list.push('layer')
  if (cloud.labels.position.some((p) => p >= 0)) list.push('position')
  list.push('norm')
  if (cloud.labels.token.some((t) => t >= 0 && cloud.tokens.tokenId[t] >= 0)) list.push('token')
  if (run.labels.length > 0) list.push('label')
  if (run.n_sequences > 1 && cloud.labels.sequence.some((s) => s >= 0) && run.prompts !== 'vocabulary') list.push('sequence')
  if (cloud.labels.expert.some((e) => e >= 0)) list.push('expert')
  return list
}

function defaultColoring(cloud: Cloud): Coloring {
  if (cloud.components.length > 1) return 'component'
  if (cloud.layers.length > 1) return 'layer'
  return new Set(cloud.labels.position.subarray(0, 1000)).size > 1 ? 'position' : 'norm'
}

function defaultHeat(run: RunInfo): string {
  return ['resid_post', 'mlp_out', 'attn_out'].find((c) => run.norm_maps.includes(c)) ?? run.norm_maps[0] ?? ''
}
