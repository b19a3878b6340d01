import { untrack } from 'svelte'
import { Cloud, loadAxes, TokenTables, type Tokens } from '../data/cloud'
import { mapOf } from '../data/others'
import { Stale, type Source } from '../data/source'
import type { Manifest, RunInfo } from '../data/types'
import { restPose, type Pose } from '../map/camera'
import type { MapScene } from '../map/scene'
import { MOST_EXACT } from '../map/tiles'
import { SearchClient } from '../select/client'
import { rowsWithin } from '../select/within'
import { Beside, MOST_BESIDE } from './beside.svelte'
import { Colors } from './colors.svelte'
import { Comparison } from './comparison.svelte'
import { Hiding } from './hiding.svelte'
import { Jobs } from './jobs.svelte'
import { Jumps } from './jumps'
import { Live } from './live.svelte'
import { Marks, type Mode } from './marks.svelte'
import { Notices } from './notices.svelte'
import { Picking } from './picking.svelte'
import { flat, isSomewhere, Places } from './places'
import { Playback } from './playback.svelte'
import { firstProjection, heatOf, loadMap, lookKept, sameRun } from './opening'
import { Steering } from './steering.svelte'
import { Telling } from './telling'
import { Ways } from './ways.svelte'
import { Link, read, type Shared } from './url'
import { grouped } from './words'

/**
 * What the page shows: a run, one of its projections as a cloud, and the parts that say how it is seen. Each part holds
 * its own share of the state and knows nothing of the others; here they meet the picture. One instance a page.
 */
export class View {
  manifest = $state.raw<Manifest | null>(null)
  run = $state.raw<RunInfo | null>(null)
  cloud = $state.raw<Cloud | null>(null)
  /** The map on whose axes other rows are in view; null: the cloud is a map of its own. */
  base = $state.raw<Cloud | null>(null)
  tokens = $state.raw<Tokens | null>(null)
  axes = $state.raw<number[]>([0, 1, 2])
  dim = $state<2 | 3>(3)
  pointSize = $state(5)
  density = $state(false)
  /** Too many points lie in view for each to be drawn: a density stands for them. */
  aggregated = $state(false)
  paths = $state(false)
  /** Names of clouds and of points that are selected or found. */
  labels = $state(true)
  /** Points that the fitted view leaves outside. */
  outside = $state(0)
  heat = $state('')
  loading = $state('')
  error = $state('')
  noWebGL = $state(false)
  tour = $state(-1)
  /** The next drag on the map is a lasso. */
  lassoing = $state(false)
  /** Counts changes of the picture, for what is drawn over the map. */
  moved = $state(0)

  scene: MapScene | null = null
  readonly searcher = new SearchClient()
  readonly places = new Places()
  readonly beside = new Beside()
  readonly marks = new Marks(() => this.showMarks())
  readonly hiding = new Hiding(() => this.showFilter())
  readonly colors = new Colors(this.hiding, () => this.showColors())
  readonly playback = new Playback(() => this.showLayer(), () => matchMedia('(prefers-reduced-motion: reduce)').matches)
  readonly picking: Picking
  readonly comparison: Comparison
  readonly jobs: Jobs
  readonly live: Live
  readonly ways: Ways
  readonly steering: Steering
  readonly telling: Telling
  readonly notices = new Notices()
  readonly jumps = new Jumps(this)
  readonly tables: TokenTables
  private readonly link = new Link()
  private readonly tabs = new BroadcastChannel(`tomograph ${location.origin}`)
  private restored: Shared = {}
  private loads = 0
  private lassos = 0
  private frame = 0
  private fitted = ''

  constructor(readonly source: Source) {
    this.picking = new Picking(source, this.searcher, () => ({ dim: this.dim, filter: this.hiding.filter }), () => this.redraw())
    this.comparison = new Comparison(source)
    this.tables = new TokenTables(source)
    this.jobs = new Jobs(source)
    this.live = new Live(source, () => this.redraw())
    this.ways = new Ways(source, () => this.redraw())
    this.steering = new Steering(source, this.live, () => this.manifest!.live!.steer)
    this.telling = new Telling(source)
    this.onClear(() => (this.live.clear(), this.ways.clear()))
  }

  // --- opening ---------------------------------------------------------------------------------------------------

  async start(hash: string): Promise<void> {
    // Another tab made something.
    if (this.source.live) this.tabs.onmessage = () => void this.refresh(true)
    const shared = read(hash)
    this.colors.theme = shared.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')
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

  /** What there is now: projections made meanwhile, and what is another by now under the name that is shown. */
  async refresh(quietly = false): Promise<void> {
    if (!this.manifest || this.loading) return
    try {
      this.manifest = await this.source.json<Manifest>('manifest')
    } catch (error) {
      return quietly ? undefined : this.fail(error)
    }
    const before = this.run
    const run = this.manifest.runs.find((r) => r.id === before?.id) ?? this.manifest.runs[0]
    if (!before || !this.cloud || !sameRun(before, run)) return this.openRun(run, this.shared())
    this.run = run
    const shown = run.projections.find((p) => p.name === mapOf(this.cloud!.name))
    if (shown && shown.version !== this.cloud.version) await this.openProjection(this.cloud.name, this.shared())
  }

  async openRun(run: RunInfo, shared: Shared = {}): Promise<void> {
    this.run = run
    this.heat = heatOf(run, shared.heat)
    this.cloud = null
    this.live.close()
    this.colors.close()
    this.scene?.clearCloud()
    this.redraw()
    this.tokens = null
    this.error = ''
    if (!run.present) return this.fail(new Error('The folder of this run is gone: it was deleted or moved.'))
    void this.tables.of(run).then(
      (tokens) => {
        if (this.run === run) this.tokens = tokens
      },
      (error) => {
        if (!(error instanceof Stale)) this.fail(error)
      },
    )
    const first = firstProjection(run, shared.projection)
    if (first) await this.openProjection(first, shared)
  }

  /** `known`: clouds that need not be loaded. */
  async openProjection(name: string, shared: Shared = {}, known: (Cloud | null)[] = [], again = true): Promise<void> {
    const run = this.run
    const entry = run?.projections.find((p) => p.name === mapOf(name))
    if (!run || !entry) return
    const load = ++this.loads
    this.loading = mapOf(name) === name ? `Loading ${grouped(entry.info.n_rows)} points` : 'Laying out the points'
    this.error = ''
    this.playback.stopPlaying()
    const axes = (shared.axes ?? [0, 1, 2]).map((a) => Math.min(a, entry.info.dims - 1))
    try {
      const [cloud, base] = await loadMap(this.source, this.tables.of(run), run, entry, name, axes, known, [this.cloud, this.base])
      if (load !== this.loads) return
      this.base = base
      this.showCloud(cloud, run, axes, shared)
      await this.loadCounterpart()
    } catch (error) {
      if (load !== this.loads) return
      if (!(error instanceof Stale) || !again) return this.fail(error)
      // Made anew since the list was read: the list is read again, once.
      try {
        this.manifest = await this.source.json<Manifest>('manifest')
      } catch (gone) {
        return this.fail(gone)
      }
      this.run = this.manifest.runs.find((r) => r.id === run.id) ?? run
      await this.openProjection(name, shared, [], false)
    }
  }

  /** Other rows on the axes in view, or those of the map again: looked at from the same place, in the same colours. */
  async showOthers(name: string): Promise<void> {
    await this.openProjection(name, lookKept(this.shared()), [this.base])
  }

  private showCloud(cloud: Cloud, run: RunInfo, axes: number[], shared: Shared): void {
    this.restored = shared
    this.marks.open(cloud)
    this.steering.open(cloud)
    this.hiding.open(cloud, shared)
    this.playback.open(cloud)
    this.picking.open(cloud)
    this.comparison.open(shared)
    this.colors.open(cloud, run, shared)
    this.paths = shared.paths ?? false
    this.labels = shared.labels ?? this.labels
    this.beside.open(cloud, shared)
    this.ways.clear()
    this.density = shared.density ?? false
    this.pointSize = shared.size ?? (cloud.n > 300_000 ? 2 : cloud.n > 50_000 ? 3 : cloud.n > 3000 ? 5 : 8)
    this.dim = cloud.dims < 3 ? 2 : (shared.dim ?? (cloud.n > MOST_EXACT ? 2 : this.dim))
    this.axes = axes
    this.cloud = cloud
    this.place(shared.pose ?? null)
    this.playback.restore(shared)
    this.marks.restore(shared)
    this.picking.restore(shared)
    this.loading = ''
    this.telling.show(this.manifest, this.run, this.cloud, this.marks.state)
  }

  /** Other principal components of the same cloud. */
  async setAxes(axes: number[]): Promise<void> {
    const cloud = this.cloud
    if (!cloud) return
    try {
      await Promise.all([cloud, this.base].map((of) => of && loadAxes(this.source, of, axes)))
      if (cloud !== this.cloud) return
      this.axes = axes
      this.comparison.close()
      this.place(null)
      if (this.playback.layer >= 0) this.showLayer()
      await this.loadCounterpart()
    } catch (error) {
      this.fail(error)
    }
  }

  private async loadCounterpart(): Promise<void> {
    const { cloud, axes } = this
    if (!cloud || !this.manifest?.compare || this.run?.id !== 0) return
    try {
      const current = () => cloud === this.cloud && axes === this.axes
      if (!(await this.comparison.load(cloud, axes, this.places, current))) return
      const { atHome } = this
      this.showOther()
      if (!this.beside.runs) return this.redraw()
      this.layOut()
      if (atHome) this.home()
      else this.redraw()
    } catch (error) {
      this.fail(error)
    }
  }

  // --- the picture -----------------------------------------------------------------------------------------------

  /** Positions on the card and in the worker. */
  private place(pose: Pose | null): void {
    const cloud = this.cloud!
    this.places.open(cloud, this.axes, this.base ?? cloud)
    this.searcher.load(this.places.positions, this.hiding.columns!)
    this.live.show(cloud, this.axes, this.places)
    this.ways.place(cloud, this.axes, this.places)
    this.attach(pose)
  }

  /** Hands all to a scene that is new, or new to this cloud. */
  attach(pose: Pose | null): void {
    const { scene, cloud } = this
    if (!scene || !cloud) return
    scene.setCloud(cloud, this.places.positions)
    this.layOut()
    scene.setState(this.marks.state, this.marks.any)
    if (this.places.next) scene.setNext(this.places.next)
    this.showOther()
    const wanted = pose ?? this.restored.pose
    this.restored = {}
    this.hiding.applyFilter()
    if (wanted) scene.camera.pose = { ...wanted, dim: this.dim }
    else this.home()
    this.colors.applyColors()
    this.redraw()
  }

  /** The second run's places, on the card and in the worker. */
  private showOther(): void {
    const { comparison, places } = this
    const { otherPositions } = comparison
    comparison.otherNext = places.next && otherPositions && places.following(otherPositions)
    this.scene?.setOther(otherPositions)
    this.scene?.setOtherNext(comparison.otherNext)
    this.searcher.setOther(otherPositions, comparison.otherNext)
  }

  private showMarks(): void {
    this.scene?.setState(this.marks.state, this.marks.any)
    this.redraw()
    this.telling.show(this.manifest, this.run, this.cloud, this.marks.state)
  }
  private showFilter(): void {
    this.scene?.setFilter(this.hiding.filter)
    this.redraw()
  }
  private showColors(): void {
    const { colors, scene } = this
    scene?.setColors(colors.coloring, colors.palette(), colors.range(colors.coloring), colors.more())
    scene?.setTheme(colors.dark ? [16, 19, 24] : [255, 255, 255], colors.dark ? [255, 255, 255] : [0, 0, 0])
    this.redraw()
  }
  private showLayer(): void {
    if (this.playback.layer >= 0 && !this.places.next && this.cloud) {
      const next = this.places.findNext(this.cloud)
      this.scene?.setNext(next)
      this.searcher.setNext(next)
      if (this.comparison.otherPositions) this.showOther()
    }
    this.hiding.showOnly(this.playback.layer)
    if (!this.playback.playing) this.live.atLayer(this.playback.layer)
  }

  redraw(): void {
    if (this.frame) return
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0
      const { scene, playback, comparison, beside } = this
      playback.tick(now)
      if (scene) {
        scene.pointSize = this.pointSize
        scene.density = this.density
        scene.ghosts = comparison.ghostly && !beside.runs
        scene.setMix(playback.mix, beside.runs ? 0 : comparison.other)
        scene.render()
        this.aggregated = scene.aggregated
      }
      this.moved = untrack(() => this.moved) + 1
      if (playback.playing) this.redraw()
    })
  }

  /** Where a row is drawn just now; side by side, in the picture of the first run or (`side` 1) of the second, where it may be nowhere. */
  placeOf(row: number, side = 0): [number, number, number] | null {
    if (side) return this.comparison.placeOf(row, this.playback.mix)
    return this.places.at(row, this.playback.mix, this.beside.runs ? 0 : this.comparison.other, this.comparison.otherPositions)
  }

  setDim(dim: 2 | 3): void {
    if (!this.cloud) return
    if (dim === 3 && this.cloud.dims < 3) return this.notices.say('This projection has two dimensions only.')
    this.dim = dim
    this.home()
  }

  /** From the front, with all that is shown in the picture. */
  home(): void {
    const { cloud, scene, hiding } = this
    if (!cloud || !scene) return
    scene.camera.pose = restPose(this.dim)
    const { rows, step } = hiding.sample()
    const room = this.pointSize / 2 + 3
    const cells = scene.cells.length > 0
    const inset = { top: room + (cells ? 18 : 8), right: room, bottom: room + (cells ? 0 : this.footer), left: room }
    // Both runs, where they are side by side.
    const second = this.beside.runs ? this.comparison.otherPositions : null
    const places = [this.places.positions, ...(second ? [second] : [])].flatMap((of) => rows.filter((r) => isSomewhere(of[3 * r])).map((r) => of.subarray(3 * r, 3 * r + 3)))
    const sample = second ? flat(places) : this.places.positions
    this.outside = rows.length ? step * scene.camera.fit(sample, second ? places.map((_, i) => i) : rows, inset) : 0
    this.fitted = JSON.stringify(scene.camera.pose)
    this.redraw()
  }
  /** Pixels at the map's lower edge that text takes. */
  get footer(): number {
    return 12 + 18 * this.dim + ((this.scene?.width ?? 1000) < 560 ? 40 : 0)
  }
  /** Nobody has turned or moved it yet. */
  get atHome(): boolean {
    return this.scene !== null && JSON.stringify(this.scene.camera.pose) === this.fitted
  }

  /** A view that nobody has turned yet is fitted anew. */
  resize(width: number, height: number): void {
    if (!this.scene) return
    const { atHome } = this
    this.scene.setSize(width, height)
    if (atHome) this.home()
    this.redraw()
  }

  /** All in one picture (''), or a picture for each layer or run. */
  setBeside(mode: Beside['mode']): void {
    const { cloud, beside, comparison, playback } = this
    if (mode === 'layers' && !cloud?.hasLayers) return this.notices.say('This map has one layer only.')
    if (mode === 'runs' && !comparison.otherPositions) return this.notices.say('There is no second run on this map.')
    beside.mode = mode
    if (mode === 'layers') {
      playback.stopPlaying()
      if (playback.layer >= 0) playback.setLayer(-1)
      if (cloud!.layers.length > MOST_BESIDE) this.notices.say(`${MOST_BESIDE} of ${cloud!.layers.length} layers are shown, evenly.`)
    }
    this.layOut()
    this.home()
  }
  private layOut(): void {
    this.scene?.setBeside(this.beside.parts(this.cloud, this.comparison.otherPositions !== null), this.footer)
  }
  /** One layer is to be shown: not all side by side. */
  leaveLayers(): void {
    if (this.beside.layers) this.setBeside('')
  }

  // --- what several parts do together ----------------------------------------------------------------------------

  async lasso(polygon: Float32Array, mode: Mode): Promise<number> {
    const { scene, cloud } = this
    if (!scene || !cloud) return 0
    this.playback.stopPlaying()
    const lasso = ++this.lassos
    const began = performance.now()
    const rows = await rowsWithin(scene, this.searcher, this.hiding.filter, this.playback.mix, polygon)
    // Cleared meanwhile: what comes late must not bring it back.
    if (cloud !== this.cloud || lasso !== this.lassos) return 0
    this.marks.lassoMilliseconds = performance.now() - began
    this.marks.select(rows, mode)
    return rows.length
  }

  private readonly cleared = new Set<() => void>()
  /** Calls `back` whenever all is cleared; returns how to stop that. */
  onClear(back: () => void): () => void {
    this.cleared.add(back)
    return () => this.cleared.delete(back)
  }

  clear(): void {
    this.lassoing = false
    ++this.lassos
    for (const back of this.cleared) back()
    this.picking.clear()
    this.marks.clear()
  }

  play(): void {
    this.leaveLayers()
    if (this.cloud?.hasLayers) this.playback.play()
    else this.notices.say('This map has one layer only: there is nothing to play.')
  }
  stepLayer(by: number): void {
    this.leaveLayers()
    if (this.cloud?.hasLayers) this.playback.stepLayer(by)
    else this.notices.say('This map has one layer only.')
  }

  /** False when it was cancelled. */
  async makeProjection(request: Record<string, unknown>): Promise<boolean> {
    const name = await this.jobs.make({ ...request, run: this.run!.id })
    if (name === null) return false
    this.tabs.postMessage('made')
    await this.refresh()
    await this.openProjection(name)
    return true
  }

  // --- sharing ---------------------------------------------------------------------------------------------------

  shared(): Shared {
    const { axes, dim, density, paths, labels, heat } = this
    return {
      run: this.run?.name,
      projection: this.cloud?.name,
      size: this.pointSize,
      pose: this.scene?.camera.pose,
      ...{ axes, dim, density, paths, labels, heat },
      ...this.colors.shared(),
      ...this.hiding.shared(),
      ...this.playback.shared(),
      ...this.marks.shared(),
      ...this.picking.shared(),
      ...this.comparison.shared(),
      ...this.beside.shared(),
    }
  }

  keepUrl(): void {
    this.link.keep(() =>
      this.cloud
        ? { shared: this.shared(), selected: () => this.marks.selectedRows(), count: this.marks.selectedCount, moving: this.playback.playing }
        : null,
    )
  }

  /** The browser has gone back or forth. */
  goBack = (hash: string, state: unknown) => this.comeTo(this.link.arrive(hash, state))

  /** To a view as shared() gave it. */
  async comeTo(shared: Shared): Promise<void> {
    const run = this.manifest?.runs.find((r) => r.name === shared.run) ?? this.run
    if (!run) return
    if (run.id !== this.run?.id) return this.openRun(run, shared)
    await this.openProjection(shared.projection ?? this.cloud?.name ?? '', shared, [this.cloud, this.base])
  }
}
