import type { Cloud } from '../data/cloud'
import { seen } from '../state/words'

export interface Label {
  /** Middle of the text, or of its first line. */
  at: [number, number]
  text: string
  /** A second line, smaller. */
  below?: string
  size: number
  strong?: boolean
  color?: string
}

/** Half the width of a text, by its length: text is measured the same on the screen and in files. */
const half = (text: string, size: number) => 0.29 * size * [...text].reduce((sum, c) => sum + (c > '\u2e80' ? 1.8 : 1), 0)

/** Keeps labels that cover none before them and lie within the picture. */
export class Spots {
  private readonly taken: [number, number, number, number][] = []
  constructor(
    private readonly width: number,
    private readonly height: number,
  ) {}

  /** Where nothing may be written. */
  block(left: number, top: number, right: number, bottom: number): void {
    this.taken.push([left, top, right, bottom])
  }

  place(label: Label, force = false): boolean {
    const w = Math.max(half(label.text, label.size), label.below ? half(label.below, label.size - 1) : 0) + 3
    const [x, y] = label.at
    if (force) label.at = [Math.min(this.width - w, Math.max(w, x)), y]
    const box: [number, number, number, number] = [label.at[0] - w, y - 0.7 * label.size, label.at[0] + w, y + (label.below ? 2 : 0.7) * label.size]
    const within = box[0] >= 0 && box[1] >= 0 && box[2] <= this.width && box[3] <= this.height
    const free = this.taken.every(([l, t, r, b]) => box[2] < l || box[0] > r || box[3] < t || box[1] > b)
    if (!force && (!within || !free)) return false
    this.taken.push(box)
    return true
  }
}

/** What tells rows apart, in few words: what all have in common is left out, but for the token; and layers, where they stand beside it. */
export function teller(cloud: Cloud, rows: ArrayLike<number>, withLayers = true): (row: number) => string {
  const l = cloud.labels
  const varies = (of: (row: number) => number) => {
    for (let i = 1; i < rows.length; ++i) if (of(rows[i]) !== of(rows[0])) return true
    return false
  }
  const tokens = varies((r) => (l.token[r] < 0 ? -1 : cloud.tokens.tokenId[l.token[r]]))
  const components = varies((r) => l.component[r])
  const layers = withLayers && varies((r) => l.layer[r])
  const positions = varies((r) => l.position[r]) && (!tokens || cloud.averages)
  return (row) => {
    const words: string[] = []
    if (l.token[row] >= 0 && (tokens || !(components || layers || positions))) words.push(seen(cloud.piece(row)) || '(empty)')
    if (components) words.push(cloud.components[l.component[row]])
    if (layers && l.layer[row] >= 0) words.push(`L${l.layer[row]}`)
    if ((positions || !words.length) && l.position[row] >= 0) words.push(`@${l.position[row]}`)
    const text = words.join(' ')
    return text.length > 32 ? text.slice(0, 31) + '…' : text
  }
}

/** A length of 1, 2 or 5 times a power of ten that takes 50 to 125 pixels. */
export function scaleLength(unitsPerPixel: number): { pixels: number; units: number } {
  const least = 50 * unitsPerPixel
  const power = 10 ** Math.floor(Math.log10(least))
  const units = power * ([1, 2, 5, 10].find((m) => m * power >= least) ?? 10)
  return { pixels: units / unitsPerPixel, units }
}
