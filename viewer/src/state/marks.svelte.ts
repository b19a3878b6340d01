import type { Cloud } from '../data/cloud'
import type { Shared } from './url'
import { inRange } from './words'

export type Mode = 'replace' | 'add' | 'subtract'

/** A link carries a selection up to here. */
const MOST_SHARED = 400
export const SELECTED = 1
const FOUND = 2

/** Which points stand out: those selected and those that a search found. The others step back. */
export class Marks {
  selectedCount = $state(0)
  found = $state(0)
  search = $state('')
  /** Tokens that the search found, the most frequent first, with how many of their points there are. */
  matches = $state.raw<{ text: string; count: number }[]>([])
  /** Counts changes. */
  version = 0
  lassoMilliseconds = $state<number | null>(null)
  /** Bits of each row: 1 selected, 2 found. */
  state: Uint8Array = new Uint8Array(0)
  private cloud: Cloud | null = null

  constructor(private readonly changed: () => void) {}

  open(cloud: Cloud): void {
    this.cloud = cloud
    this.state = new Uint8Array(cloud.n)
    this.selectedCount = this.found = 0
    this.matches = []
    ++this.version
    this.search = ''
  }

  /** What a link says of an opened cloud. */
  restore(shared: Shared): void {
    const rows = (shared.selected ?? []).filter((r) => r >= 0 && r < this.state.length)
    if (rows.length) this.select(rows, 'replace')
    this.search = shared.search ?? ''
    if (this.search) this.runSearch()
  }

  shared(): Shared {
    return { search: this.search, selected: this.selectedCount <= MOST_SHARED ? this.selectedRows() : [] }
  }

  get any(): boolean {
    return this.selectedCount + this.found > 0
  }

  select(rows: ArrayLike<number>, mode: Mode): void {
    if (mode === 'replace') for (let i = 0; i < this.state.length; ++i) this.state[i] &= ~SELECTED
    const n = rows.length
    for (let i = 0; i < n; ++i) {
      if (mode === 'subtract') this.state[rows[i]] &= ~SELECTED
      else this.state[rows[i]] |= SELECTED
    }
    this.count()
  }

  selectedRows(most = Infinity): number[] {
    return this.rowsOf(SELECTED, most)
  }
  foundRows(most = Infinity): number[] {
    return this.rowsOf(FOUND, most)
  }
  private rowsOf(bit: number, most: number): number[] {
    const rows: number[] = []
    for (let i = 0; i < this.state.length && rows.length < most; ++i) if (this.state[i] & bit) rows.push(i)
    return rows
  }

  /** Rows at positions as the command line writes them: "@3", "@-1", "@-8:-1". */
  private findPositions(range: string): void {
    const cloud = this.cloud!
    const { position } = cloud.labels
    for (let i = 0; i < cloud.n; ++i) {
      if (position[i] < 0) continue
      const end = cloud.fromEnd(i)
      if (range.includes('-') && !end) continue
      if (inRange(range, position[i], end ? position[i] - end : Infinity)) this.state[i] |= FOUND
    }
  }

  /** Rows whose token's text holds the words; with quotes, is them; with @, those at positions. */
  runSearch(): void {
    const cloud = this.cloud
    if (!cloud) return
    for (let i = 0; i < this.state.length; ++i) this.state[i] &= ~FOUND
    const asked = this.search
    this.matches = []
    const positions = /^@(-?\d+|-?\d*:-?\d*)$/.exec(asked)
    if (positions) this.findPositions(positions[1])
    else if (asked) {
      const exact = asked.length > 1 && asked.startsWith('"') && asked.endsWith('"')
      const text = (exact ? asked.slice(1, -1) : asked).replaceAll('·', ' ')
      const lower = text.toLowerCase()
      const ids = new Set<number>()
      for (const [id, piece] of cloud.tokens.text) if (exact ? piece === text : piece.toLowerCase().includes(lower)) ids.add(id)
      this.matches = cloud.rankedTokens.filter(({ id }) => ids.has(id)).map(({ id, count }) => ({ text: cloud.tokens.text.get(id)!, count }))
      const { token } = cloud.labels
      for (let i = 0; i < cloud.n; ++i) if (token[i] >= 0 && ids.has(cloud.tokens.tokenId[token[i]])) this.state[i] |= FOUND
    }
    this.count()
  }

  clear(): void {
    this.state.fill(0)
    this.search = ''
    this.matches = []
    this.lassoMilliseconds = null
    this.count()
  }

  private count(): void {
    let selected = 0
    let found = 0
    for (const s of this.state) {
      selected += s & SELECTED
      found += s >> 1
    }
    this.selectedCount = selected
    this.found = found
    ++this.version
    this.changed()
  }
}
