import { categoryColor, componentColor, css, sequential, type Rgb } from '../color/palette'
import type { Cloud } from '../data/cloud'
import type { RunInfo } from '../data/types'
import type { Coloring } from '../map/shaders'
import { LISTED_TOKENS, type Kind } from './hiding.svelte'
import type { Shared } from './url'
import { grouped, seen, short } from './words'

export interface LegendEntry {
  kind: Kind
  index: number
  text: string
  color: string
  count: number
}
/** What a colour stands for, where points of it cannot be hidden together. */
export interface KeyEntry {
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

/** The palette's length: a texture of so many colours is all that recolouring sends. */
const PALETTE = 1024

/** What each point's colour says. */
export class Colors {
  coloring = $state<Coloring>('component')
  theme = $state<'light' | 'dark'>('light')
  private cloud: Cloud | null = null
  private run: RunInfo | null = null
  private ranges = new Map<string, [number, number]>()

  /** `hiding`: the first tokens' norms do not count where they are hidden. */
  constructor(
    private readonly hiding: { showFirst: boolean },
    private readonly changed: () => void,
  ) {}

  /** Keeps the colouring that is chosen, where the cloud has it. */
  open(cloud: Cloud, run: RunInfo, shared: Shared): void {
    const usable = colorable(cloud, run)
    const first = this.cloud === null
    this.cloud = cloud
    this.run = run
    this.ranges.clear()
    if (shared.color && usable.includes(shared.color)) this.coloring = shared.color
    else if (first || !usable.includes(this.coloring)) this.coloring = defaultColoring(cloud)
  }
  close(): void {
    this.cloud = null
  }

  shared(): Shared {
    return { color: this.coloring, theme: this.theme }
  }

  get dark(): boolean {
    return this.theme === 'dark'
  }

  color(by: Coloring): void {
    this.coloring = by
    this.applyColors()
  }

  applyColors(): void {
    if (this.cloud) this.changed()
  }

  /** RGBA of the palette, [1024, 4]. */
  palette(): Uint8Array {
    const colors = new Uint8Array(4 * PALETTE)
    for (let i = 0; i < PALETTE; ++i) {
      const [r, g, b] = this.colorOf(this.coloring, i)
      colors.set([r, g, b, 255], 4 * i)
    }
    return colors
  }

  /** Words of the further column that is shown; null where it holds numbers, or is none. */
  private words(by: Coloring): string[] | null {
    return this.run?.columns?.find(({ name }) => by === `column.${name}`)?.words ?? null
  }
  /** What a row has in a further column or score, on the scale that is shown; NaN: nothing. */
  private valueOf(by: Coloring): (row: number) => number {
    const cloud = this.cloud!
    if (by === 'from_end') return (row) => cloud.fromEnd(row) || NaN
    const values = cloud.tokens.further.get(by)
    const { token } = cloud.labels
    const whole = by.startsWith('column.')
    return (row) => {
      const value = values && token[row] >= 0 ? values[token[row]] : NaN
      if (whole) return value < 0 ? NaN : value
      return by === 'score.rank' ? Math.log(value) : value
    }
  }
  /** Codes of every row for the map, of a further column or score; null for other colourings. */
  more(): { codes: Uint16Array; category: boolean } | null {
    const by = this.coloring
    if (!this.cloud || !isFurther(by)) return null
    const category = this.words(by) !== null
    const [low, high] = this.range(by)
    const valueOf = this.valueOf(by)
    const codes = new Uint16Array(this.cloud.n)
    for (let i = 0; i < codes.length; ++i) {
      const value = valueOf(i)
      if (Number.isNaN(value)) continue
      codes[i] = category ? value + 1 : Math.round((65535 * (value - low)) / Math.max(high - low, 1e-9))
    }
    return { codes, category }
  }

  /** Of the numbers behind a colouring, first tokens left out where they are hidden. */
  range(by: Coloring): [number, number] {
    const key = `${by}/${this.hiding.showFirst}`
    let range = this.ranges.get(key)
    if (!range) this.ranges.set(key, (range = this.findRange(by)))
    return range
  }

  private findRange(by: Coloring): [number, number] {
    const cloud = this.cloud!
    if (by === 'layer') return [cloud.layers[0] ?? 0, cloud.layers.at(-1) ?? 1]
    const first = !this.hiding.showFirst
    const valueOf = isFurther(by) ? this.valueOf(by) : null
    const values: number[] = []
    const step = Math.max(1, Math.floor(cloud.n / 100_000))
    for (let i = 0; i < cloud.n; i += step) {
      const position = cloud.labels.position[i]
      if (first && position === 0) continue
      if (isFurther(by)) {
        const value = valueOf!(i)
        if (!Number.isNaN(value)) values.push(value)
      } else if (by === 'norm') {
        if (cloud.normCode[i] !== 65535) values.push(cloud.normCode[i])
      } else if (position >= 0) values.push(position)
    }
    if (!values.length) return [0, 1]
    const sorted = Float64Array.from(values).sort()
    return [sorted[0], sorted[sorted.length - 1]]
  }

  private colorOf(by: Coloring, index: number): Rgb {
    const grey: Rgb = this.dark ? [120, 124, 130] : [150, 150, 150]
    switch (by) {
      case 'component':
        return componentColor(this.cloud!.components[index] ?? '', this.dark)
      case 'label':
      case 'expert':
        return index === 0 ? grey : categoryColor(index - 1, this.dark)
      case 'token':
        return index < LISTED_TOKENS ? categoryColor(index, this.dark) : grey
      case 'sequence':
        return categoryColor(index, this.dark)
      default:
        if (this.words(by)) return index === 0 ? grey : categoryColor(index - 1, this.dark)
        return sequential(index / (PALETTE - 1), this.dark)
    }
  }

  /** Which colour of the palette a row has. */
  private indexOf(): (row: number) => number {
    const { labels, normCode, tokenRank } = this.cloud!
    const [low, high] = this.range(this.coloring)
    const step = (value: number) => Math.round((PALETTE - 1) * Math.min(1, Math.max(0, (value - low) / Math.max(high - low, 1e-9))))
    switch (this.coloring) {
      case 'component':
        return (row) => labels.component[row]
      case 'label':
        return (row) => labels.label[row] + 1
      case 'token':
        return (row) => Math.min(PALETTE - 1, tokenRank[row])
      case 'sequence':
        return (row) => labels.sequence[row] & 255
      case 'expert':
        return (row) => labels.expert[row] + 1
      case 'layer':
        return (row) => step(labels.layer[row])
      case 'position':
        return (row) => step(labels.position[row])
      case 'norm':
        return (row) => step(normCode[row] === 65535 ? 0 : normCode[row])
      default: {
        const valueOf = this.valueOf(this.coloring)
        if (this.words(this.coloring)) return (row) => (Number.isNaN(valueOf(row)) ? 0 : valueOf(row) + 1)
        return (row) => (Number.isNaN(valueOf(row)) ? 0 : step(valueOf(row)))
      }
    }
  }

  rowColor(row: number): string {
    return css(this.colorOf(this.coloring, this.indexOf()(row)))
  }

  /** Of many rows at once, for pictures. */
  rowColors(rows: ArrayLike<number>): string[] {
    const known = new Map<number, string>()
    const indexOf = this.indexOf()
    return Array.from(rows, (row) => {
      const index = indexOf(row)
      let color = known.get(index)
      if (!color) known.set(index, (color = css(this.colorOf(this.coloring, index))))
      return color
    })
  }

  legend(): LegendEntry[] {
    const cloud = this.cloud
    if (!cloud) return []
    const entry = (kind: Kind, index: number, text: string, at: number, n: number): LegendEntry => ({ kind, index, text, color: css(this.colorOf(kind, at)), count: n })
    const tally = (values: ArrayLike<number>) => {
      const counts = new Map<number, number>()
      for (let i = 0; i < cloud.n; ++i) counts.set(values[i], (counts.get(values[i]) ?? 0) + 1)
      return [...counts].sort(([a], [b]) => a - b)
    }
    switch (this.coloring) {
      case 'component': {
        const counts = new Map(tally(cloud.labels.component))
        return cloud.components.map((name, i) => entry('component', i, name, i, counts.get(i) ?? 0))
      }
      case 'layer': {
        const counts = new Map(tally(cloud.labels.layer))
        const [low, high] = this.range('layer')
        const at = (layer: number) => ((PALETTE - 1) * (layer - low)) / Math.max(1, high - low)
        return cloud.layers.map((layer) => entry('layer', layer, cloud.layerName(layer), at(layer), counts.get(layer) ?? 0))
      }
      case 'label': {
        const name = (i: number) => (i < 0 ? 'no label' : (this.run!.labels[i] ?? `label ${i}`))
        return tally(cloud.labels.label).map(([i, n]) => entry('label', i, name(i), i + 1, n))
      }
      case 'expert':
        return tally(cloud.labels.expert).map(([i, n]) => entry('expert', i, i < 0 ? 'no expert' : `expert ${i}`, i + 1, n))
      case 'token': {
        const listed = cloud.rankedTokens.slice(0, LISTED_TOKENS)
        const entries = listed.map(({ id, count }, rank) => entry('token', rank, id === -1 ? 'none' : seen(cloud.tokens.text.get(id) ?? `#${id}`), rank, count))
        const rest = cloud.rankedTokens.slice(LISTED_TOKENS).reduce((sum, t) => sum + t.count, 0)
        if (rest) entries.push(entry('token', -1, `${grouped(cloud.rankedTokens.length - LISTED_TOKENS)} other tokens`, PALETTE - 1, rest))
        return entries
      }
      default:
        return []
    }
  }

  /** The words of a further column. */
  key(): KeyEntry[] {
    const cloud = this.cloud
    const words = cloud && this.words(this.coloring)
    if (!cloud || !words) return []
    const indexOf = this.indexOf()
    const counts = new Map<number, number>()
    for (let i = 0; i < cloud.n; ++i) counts.set(indexOf(i), (counts.get(indexOf(i)) ?? 0) + 1)
    return [...counts]
      .sort(([a], [b]) => a - b)
      .map(([i, count]) => ({ text: i === 0 ? 'none' : words[i - 1], color: css(this.colorOf(this.coloring, i)), count }))
  }

  gradient(): Gradient | null {
    const cloud = this.cloud
    const by = this.coloring
    if (!cloud || !(['layer', 'position', 'norm'].includes(by) || (isFurther(by) && !this.words(by)))) return null
    const [low, high] = this.range(by)
    const colors = Array.from({ length: 24 }, (_, i) => css(sequential(i / 23, this.dark)))
    const logarithmic = by === 'norm' || by === 'score.rank'
    const say = (v: number) =>
      by === 'norm' ? short(cloud.normOf(v)) : by === 'score.rank' ? String(Math.round(Math.exp(v))) : by.startsWith('score.') ? short(v) : String(v)
    return { low: say(low), high: say(high), colors, scale: logarithmic ? 'logarithmic' : '' }
  }
}

const isFurther = (by: Coloring): boolean => by === 'from_end' || by.startsWith('column.') || by.startsWith('score.')

/** What a colouring is called. */
export function coloringName(by: Coloring): string {
  if (by === 'from_end') return 'position from the end'
  const name = by.replace(/^(column|score)\./, '')
  return by === 'score.logprob' ? 'log-probability' : name.replaceAll('_', ' ')
}

export function colorable(cloud: Cloud, run: RunInfo): Coloring[] {
  const list: Coloring[] = []
  if (cloud.components.length > 0) list.push('component')
  if (cloud.layers.length > 0) list.push('layer')
  if (cloud.labels.position.some((p) => p >= 0)) {
    list.push('position')
    if (run.length > 1 && cloud.labels.position.some((_, row) => cloud.fromEnd(row) < 0)) list.push('from_end')
  }
  list.push('norm')
  if (cloud.labels.token.some((t) => t >= 0 && cloud.tokens.tokenId[t] !== -1)) list.push('token')
  if (run.labels.length > 0) list.push('label')
  if (run.n_sequences > 1 && cloud.labels.sequence.some((s) => s >= 0) && run.prompts !== 'vocabulary') list.push('sequence')
  if (cloud.labels.expert.some((e) => e >= 0)) list.push('expert')
  if (cloud.labels.token.some((t) => t >= 0)) {
    for (const { name } of run.columns ?? []) list.push(`column.${name}`)
    for (const name of run.scores ?? []) list.push(`score.${name}`)
  }
  return list
}

function defaultColoring(cloud: Cloud): Coloring {
  if (cloud.components.length > 1) return 'component'
  if (cloud.layers.length > 1) return 'layer'
  return new Set(cloud.labels.position.subarray(0, 1000)).size > 1 ? 'position' : 'norm'
}
