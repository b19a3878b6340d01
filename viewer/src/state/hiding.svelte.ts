import type { Cloud } from '../data/cloud'
import { isVisible, openFilter, type Filter, type FilterColumns } from '../select/visible'
import type { Shared } from './url'

export type Kind = 'component' | 'layer' | 'label' | 'token' | 'expert'
/** Tokens with an entry of their own in the legend; all others share one. */
export const LISTED_TOKENS = 24

const nothingHidden = (): Record<Kind, Set<number>> => ({ component: new Set(), layer: new Set(), label: new Set(), token: new Set(), expert: new Set() })

/** What is not drawn: by legend entry, the first tokens, layers other than the one that is played. */
export class Hiding {
  hidden = $state.raw(nothingHidden())
  showFirst = $state(true)
  visibleCount = $state(0)
  filter: Filter = openFilter()
  columns: FilterColumns | null = null
  private n = 0
  private onlyLayer = -1

  constructor(private readonly changed: () => void) {}

  open(cloud: Cloud, shared: Shared): void {
    const { component, layer, position, label, expert } = cloud.labels
    this.columns = { component, layer, position, label, expert, tokenRank: cloud.tokenRank }
    this.n = cloud.n
    this.hidden = nothingHidden()
    if (shared.hide) for (const kind of Object.keys(this.hidden) as Kind[]) this.hidden[kind] = new Set(shared.hide[kind])
    this.showFirst = shared.first ?? true
    this.onlyLayer = -1
  }

  shared(): Shared {
    const list = (kind: Kind) => [...this.hidden[kind]]
    return {
      hide: { component: list('component'), layer: list('layer'), label: list('label'), token: list('token'), expert: list('expert') },
      first: this.showFirst,
    }
  }

  visible(row: number): boolean {
    return isVisible(this.filter, this.columns!, row)
  }
  /** Up to some 40,000 of the rows that are shown, evenly; each stands for `step` of them. */
  sample(): { rows: number[]; step: number } {
    const rows: number[] = []
    const step = Math.max(1, Math.floor(this.visibleCount / 40_000))
    for (let i = 0, visible = 0; i < this.n; ++i) if (this.visible(i) && visible++ % step === 0) rows.push(i)
    return { rows, step }
  }
  get any(): boolean {
    return Object.values(this.hidden).some((set) => set.size > 0)
  }

  /** -1: all layers. */
  showOnly(layer: number): void {
    this.onlyLayer = layer
    this.applyFilter()
  }

  showAll(): void {
    this.hidden = nothingHidden()
    this.applyFilter()
  }

  toggle(kind: Kind, index: number): void {
    const set = new Set(this.hidden[kind])
    if (!set.delete(index)) set.add(index)
    this.hide(kind, set)
  }

  /** Of all entries this one; all, if it is alone already. */
  only(kind: Kind, index: number, all: number[]): void {
    const hidden = this.hidden[kind]
    const others = all.filter((i) => i !== index)
    const isAlone = others.every((i) => hidden.has(i)) && !hidden.has(index)
    this.hide(kind, new Set(isAlone ? [] : others))
  }

  /** This one, and no other of all, whatever was hidden. */
  alone(kind: Kind, index: number, all: number[]): void {
    this.hide(kind, new Set(all.filter((i) => i !== index)))
  }

  private hide(kind: Kind, set: Set<number>): void {
    this.hidden = { ...this.hidden, [kind]: set }
    this.applyFilter()
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
    filter.onlyLayer = this.onlyLayer
    this.filter = filter
    if (!this.columns) return
    let visible = 0
    for (let i = 0; i < this.n; ++i) if (isVisible(filter, this.columns, i)) ++visible
    this.visibleCount = visible
    this.changed()
  }
}
