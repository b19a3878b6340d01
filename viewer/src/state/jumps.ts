import { loadCloud } from '../data/cloud'
import type { Outlier } from '../data/types'
import type { Mode } from './marks.svelte'
import type { View } from './view.svelte'
import { kin, mapsOf, rowOf } from './whereabouts'

/** From what a panel names to where that is on the map. */
export class Jumps {
  constructor(private readonly view: View) {}

  /** Selects what lies at a layer and position. */
  selectAt(layer: number, position: number, mode: Mode): void {
    const rows = this.view.cloud?.rowsAt(layer, position) ?? []
    if (!rows.length) return this.view.notices.say(`No point of this map lies at layer ${layer}, position ${position}.`)
    this.view.marks.select(rows, mode)
  }

  /** Row of a token that stands out; -1: not on this map. */
  rowOf(outlier: Outlier): number {
    return this.view.cloud ? rowOf(this.view.cloud, outlier) : -1
  }

  /** Picks a token that stands out: on this map, else on one that has it, else where the token is on this map at all. */
  async goTo(outlier: Outlier): Promise<void> {
    const { view } = this
    const { run } = view
    if (!run) return
    const here = this.rowOf(outlier)
    if (here >= 0) return this.goToRow(here)
    for (const name of mapsOf(run, outlier)) {
      if (name === view.cloud?.name) continue
      const cloud = await loadCloud(view.source, run, name, [], view.tables.of(run))
      if (run !== view.run) return
      const row = rowOf(cloud, outlier)
      if (row < 0) continue
      await view.openProjection(name, { pick: row })
      return
    }
    const row = view.cloud ? kin(view.cloud, outlier) : -1
    const where = outlier.site ?? 'its site'
    if (row < 0)
      return view.notices.say(`No map of this run holds ${where} of this token, and this one none of its other vectors: New… makes one.`)
    this.goToRow(row)
    view.notices.say(`No map of this run holds ${where} of this token: this is the same token at ${view.cloud!.site(row)}.`)
  }

  /** A row's token through all layers. */
  showWay(row: number): void {
    const { view } = this
    const path = view.cloud?.path(row) ?? []
    if (path.length < 2) return view.notices.say('This map has this token at one layer only.')
    view.leaveLayers()
    if (view.playback.layer >= 0) view.playback.setLayer(-1)
    view.paths = true
    view.marks.select(path, 'replace')
  }

  /** A row's token through all layers that the run keeps, those too that this map lacks. */
  async fetchWay(row: number): Promise<void> {
    const { view } = this
    const { cloud } = view
    if (!cloud) return
    view.leaveLayers()
    if (view.playback.layer >= 0) view.playback.setLayer(-1)
    const here = cloud.way(row)
    try {
      const whole = await view.ways.fetch(cloud, row, view.axes, view.places)
      if (!whole) return
      if (whole.notes.length) view.notices.say(`${whole.notes.join('. ')}.`)
      else if (!here.includes(-1) && whole.layers.length === here.length) view.notices.say('The run keeps no other layers of it.')
    } catch (error) {
      view.fail(error)
    }
  }

  /** Picks a row, shown whatever hides it. */
  goToRow(row: number): void {
    this.bringInView(row)
    void this.view.picking.pick(row)
  }

  /** One layer of one component alone. */
  showSite(component: string, layer: number): void {
    const { cloud, hiding, playback } = this.view
    if (!cloud) return
    this.view.leaveLayers()
    playback.stopPlaying()
    if (cloud.components.length > 1) hiding.alone('component', cloud.components.indexOf(component), cloud.components.map((_, i) => i))
    playback.setLayer(cloud.layers.includes(layer) ? layer : -1)
  }

  /** A row that a filter or the layer shown hides is shown. */
  private bringInView(row: number): void {
    const { cloud, colors, hiding, playback } = this.view
    if (hiding.visible(row)) return
    const layer = cloud!.labels.layer[row]
    if (playback.layer >= 0 && layer !== playback.layer) playback.setLayer(layer)
    if (hiding.visible(row)) return
    hiding.showFirst = true
    hiding.showAll()
    colors.applyColors()
  }
}
