import type { Cloud } from '../data/cloud'
import type { Source } from '../data/source'
import type { Direction, SteeringEffect, SteerLimits } from '../data/types'
import type { Live } from './live.svelte'

/** So many of them at most, evenly. */
export function evenly(rows: number[], most: number): number[] {
  if (rows.length <= most) return rows
  return Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)])
}

/** A prompt read again while the difference between two groups of points is added at their site. */
export class Steering {
  /** Points that were kept aside to be led away from; null: all that is shown and not selected. */
  away = $state.raw<number[] | null>(null)
  /** "blocks.3.mlp_out"; '': where most of the selected points are. */
  site = $state('')
  strength = $state(1)
  direction = $state.raw<Direction | null>(null)
  effect = $state.raw<SteeringEffect | null>(null)
  busy = $state(false)
  error = $state('')
  private cloud: Cloud | null = null
  private asked = 0

  constructor(
    private readonly source: Source,
    private readonly live: Live,
    /** As the server says them. */
    private readonly limits: () => SteerLimits,
  ) {}

  open(cloud: Cloud): void {
    if (this.cloud === cloud) return
    this.cloud = cloud
    this.away = null
    this.site = this.error = ''
  }

  /** The selected points' sites, those of most of them first. */
  sites(selected: number[]): { site: string; count: number }[] {
    const cloud = this.cloud!
    const counts = new Map<string, number>()
    for (const row of selected) counts.set(cloud.site(row), (counts.get(cloud.site(row)) ?? 0) + 1)
    return [...counts].map(([site, count]) => ({ site, count })).sort((a, b) => b.count - a.count)
  }

  /** Both groups at a site; `shown` says which of the others may stand for the rest. */
  groups(site: string, selected: number[], shown: (row: number) => boolean): { toward: number[]; away: number[] } {
    const cloud = this.cloud!
    const toward = selected.filter((row) => cloud.site(row) === site)
    const led = new Set(toward)
    if (this.away) return { toward, away: this.away.filter((row) => cloud.site(row) === site && !led.has(row)) }
    const away: number[] = []
    let row = 0
    for (const [component, layer, count] of cloud.header.segments) {
      const its = layer < 0 ? component : `blocks.${cloud.layerOf(layer)}.${component}`
      if (its === site) for (let i = row; i < row + count; ++i) if (!led.has(i) && shown(i)) away.push(i)
      row += count
    }
    return { toward, away }
  }

  /** Why these points lead nowhere, a sentence; '': they do. */
  problem(site: string, toward: number[], away: number[]): string {
    const { least } = this.limits()
    if (this.cloud!.averages) return 'The points of this map are averages: a direction is found between single tokens. Choose another map.'
    if (toward.length < least) return `${toward.length ? `Only ${toward.length}` : 'None'} of the selected points ${toward.length === 1 ? 'is' : 'are'} of ${site}: ${least} at least are needed.`
    if (away.length < least) return `${away.length ? `Only ${away.length}` : 'No'} ${away.length === 1 ? 'point' : 'points'} of ${site} to lead away from: ${least} at least are needed.`
    return ''
  }

  /** Reads the first prompt again, steered, beside itself as it was. */
  async read(site: string, toward: number[], away: number[]): Promise<void> {
    const cloud = this.cloud!
    const plain = this.live.prompts.find((p) => !p.steered && p.run === cloud.run.id)
    this.error = this.problem(site, toward, away) || (plain ? '' : 'Read a prompt first, in the line above the map: it is read again, steered.')
    if (this.error || this.busy || !plain) return
    const { most, strength } = this.limits()
    if (!Number.isFinite(this.strength) || this.strength === 0 || Math.abs(this.strength) > strength) {
      this.error = `The strength is a number from -${strength} to ${strength}, and not 0.`
      return
    }
    const asked = ++this.asked
    const [, layer, component] = /^blocks\.(\d+)\.(\w+)$/.exec(site) ?? ['', '-1', site]
    this.busy = true
    this.effect = null
    try {
      this.direction = await this.source.send<Direction>('POST', 'directions', {
        run: cloud.run.id,
        projection: cloud.name,
        version: cloud.version,
        component,
        layer: Number(layer),
        toward: evenly(toward, most),
        away: evenly(away, most),
      })
      await this.live.read(cloud.run, plain.asked, true, { direction: this.direction.id, strength: this.strength, site })
      const steered = this.live.prompts.find((p) => p.steered?.direction === this.direction!.id)
      if (!steered || asked !== this.asked) return
      this.effect = await this.source.json<SteeringEffect>(`live/${steered.id}/effect`)
    } catch (error) {
      this.error = (error as Error).message
    } finally {
      this.busy = false
    }
  }
}
