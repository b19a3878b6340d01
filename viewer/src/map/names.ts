import type { Cloud } from '../data/cloud'
import { seen } from '../state/words'

/** A cloud or an island of points with a name. */
export interface Named {
  /** In its middle, and one of its own: a row. */
  row: number
  text: string
  /** The token that is most its own; empty: none is. */
  token: string
  n: number
}

const MOST_NAMES = 16
/** Share of a group that a word has to cover to be its name. */
const PURE = 0.75
/** Of all points: smaller islands have no name. */
const SMALL = 0.01

/** Rows in islands, [group of each of `rows`]: cells of a grid that touch, thin bridges left out; -1: none. */
export function islands(positions: ArrayLike<number>, rows: ArrayLike<number>, dims: number): Int32Array {
  const n = rows.length
  const side = dims === 3 ? Math.min(28, Math.max(8, Math.round(0.7 * Math.cbrt(n)))) : Math.min(56, Math.max(12, Math.round(0.5 * Math.sqrt(n))))
  const reach = 1.25 // of a world where all but a few points are within 1
  const cell = new Int32Array(n).fill(-1)
  const count = new Int32Array(side ** dims)
  for (let i = 0; i < n; ++i) {
    let at = 0
    for (let k = 0; k < dims && at >= 0; ++k) {
      const step = Math.floor(((positions[3 * rows[i] + k] + reach) / (2 * reach)) * side)
      at = step >= 0 && step < side ? at * side + step : -1
    }
    cell[i] = at
    if (at >= 0) ++count[at]
  }
  const taken = count.filter((c) => c > 0)
  const least = Math.max(1, 0.3 * (taken.reduce((sum, c) => sum + c, 0) / Math.max(1, taken.length)))
  const group = new Int32Array(count.length).fill(-1)
  const steps: number[][] = [[]]
  for (let k = 0; k < dims; ++k) steps.push(...steps.splice(0).flatMap((s) => [-1, 0, 1].map((d) => [...s, d])))
  let groups = 0
  for (let start = 0; start < count.length; ++start) {
    if (count[start] < least || group[start] >= 0) continue
    group[start] = groups
    for (const queue = [start]; queue.length; ) {
      const from = queue.pop()!
      const place = Array.from({ length: dims }, (_, k) => Math.floor(from / side ** (dims - 1 - k)) % side)
      for (const step of steps) {
        let to = 0
        for (let k = 0; k < dims && to >= 0; ++k) {
          const p = place[k] + step[k]
          to = p >= 0 && p < side ? to * side + p : -1
        }
        if (to < 0 || count[to] < least || group[to] >= 0) continue
        group[to] = groups
        queue.push(to)
      }
    }
    ++groups
  }
  return cell.map((at) => (at < 0 ? -1 : group[at]))
}

/** Share of the rows' variance that lies between groups. */
function between(positions: ArrayLike<number>, rows: ArrayLike<number>, group: ArrayLike<number>): number {
  const sums = new Map<number, { n: number; at: [number, number, number] }>()
  const mean = [0, 0, 0]
  for (let i = 0; i < rows.length; ++i) {
    let sum = sums.get(group[i])
    if (!sum) sums.set(group[i], (sum = { n: 0, at: [0, 0, 0] }))
    ++sum.n
    for (let k = 0; k < 3; ++k) {
      sum.at[k] += positions[3 * rows[i] + k]
      mean[k] += positions[3 * rows[i] + k] / rows.length
    }
  }
  let total = 0
  for (let i = 0; i < rows.length; ++i) for (let k = 0; k < 3; ++k) total += (positions[3 * rows[i] + k] - mean[k]) ** 2
  let means = 0
  for (const { n, at } of sums.values()) for (let k = 0; k < 3; ++k) means += n * (at[k] / n - mean[k]) ** 2
  return total > 0 ? means / total : 0
}

/** The value that covers most of a group, and what share. */
function common(values: ArrayLike<number>, members: number[]): { value: number; share: number } {
  const counts = new Map<number, number>()
  for (const i of members) counts.set(values[i], (counts.get(values[i]) ?? 0) + 1)
  let best = { value: -1, share: 0 }
  for (const [value, n] of counts) if (n / members.length > best.share) best = { value, share: n / members.length }
  return best
}

/** Of these rows the one with most of the others around it: a mean of a bent cloud lies beside it. */
function densest(positions: ArrayLike<number>, rows: number[], dims: number): number {
  const near = 0.12 ** 2
  const some = (most: number) => rows.filter((_, i) => i % Math.max(1, Math.floor(rows.length / most)) === 0)
  const others = some(500)
  let best = rows[0]
  let most = -1
  for (const row of some(150)) {
    let n = 0
    for (const other of others) {
      let d = 0
      for (let k = 0; k < dims; ++k) d += (positions[3 * row + k] - positions[3 * other + k]) ** 2
      if (d < near) n += 1 - d / near
    }
    if (n > most) {
      most = n
      best = row
    }
  }
  return best
}

/** The groups that these rows fall into on the map, named by what separates them from the rest. */
export function names(cloud: Cloud, positions: ArrayLike<number>, rows: number[], dims: number): Named[] {
  if (rows.length < 24) return []
  const everything = rows.map((_, i) => i)
  const pick = (values: ArrayLike<number>) => Int32Array.from(rows, (r) => values[r])
  const component = pick(cloud.labels.component)
  const layer = pick(cloud.labels.layer)
  const label = pick(cloud.labels.label)
  const first = Int32Array.from(rows, (r) => Number(cloud.labels.position[r] === 0))
  const rank = pick(cloud.tokenRank)

  const least = Math.max(12, SMALL * rows.length)
  const gathered = (list: number[], of: ArrayLike<number>): number[][] => {
    const members = new Map<number, number[]>()
    for (const i of list) {
      const known = members.get(of[i])
      if (known) known.push(i)
      else if (of[i] >= 0) members.set(of[i], [i])
    }
    return [...members.values()].filter((m) => m.length >= least)
  }
  /** An island where components are mixed: they or their layers have places in it, whichever of the two parts it. */
  const parts = (island: number[]): number[][] => {
    if (common(component, island).share >= PURE && cloud.components.length > 1) return [island]
    const own = island.map((i) => rows[i])
    const ofComponent = island.map((i) => component[i])
    const ofBoth = island.map((i) => 1000 * component[i] + layer[i] + 1)
    const byComponent = between(positions, own, ofComponent)
    const byBoth = between(positions, own, ofBoth)
    const both = component.map((c, i) => 1000 * c + layer[i] + 1)
    if (byBoth - byComponent > 0.1) return gathered(island, both)
    return cloud.components.length > 1 ? gathered(island, component) : [island]
  }
  const members = gathered(everything, islands(positions, rows, dims)).flatMap(parts)
  const counts = new Map<number, number>()
  for (const r of rank) if (r < 65535) counts.set(r, (counts.get(r) ?? 0) + 1)
  const all = { component: common(component, everything), layer: common(layer, everything), label: common(label, everything), first: common(first, everything) }

  const out: Named[] = []
  for (const list of members.sort((a, b) => b.length - a.length).slice(0, MOST_NAMES)) {
    const words: string[] = []
    const is = (of: Int32Array, whole: { share: number }) => {
      const { value, share } = common(of, list)
      return share >= PURE && whole.share < PURE ? value : -1
    }
    const firsts = common(first, list)
    if (firsts.value === 1 && firsts.share >= PURE && !(all.first.value === 1)) words.push('first tokens')
    const c = is(component, all.component)
    if (c >= 0) words.push(cloud.components[c])
    const l = is(layer, all.layer)
    if (l >= 0) words.push(cloud.layerName(l))
    else if (cloud.layers.length > 3 && !cloud.header.layer_of) {
      const sorted = list.map((i) => layer[i]).filter((v) => v >= 0).sort((a, b) => a - b)
      const [low, high] = [sorted[Math.floor(0.1 * (sorted.length - 1))], sorted[Math.ceil(0.9 * (sorted.length - 1))]]
      if (sorted.length && cloud.layers.indexOf(high) - cloud.layers.indexOf(low) + 1 <= 0.6 * cloud.layers.length) words.push(low === high ? `layer ${low}` : `layers ${low}–${high}`)
    }
    const t = is(label, all.label)
    if (t >= 0) words.push(cloud.run.labels[t] ?? '')
    // The token that says most of where it is: frequent here, and more so than elsewhere.
    const own = new Map<number, number>()
    for (const i of list) if (rank[i] < 65535) own.set(rank[i], (own.get(rank[i]) ?? 0) + 1)
    let token = ''
    let most = 0
    for (const [r, n] of own) {
      const lift = n / list.length / (counts.get(r)! / rows.length)
      const score = (n / list.length) * Math.log(lift)
      if (n < 3 || lift < 2 || score <= most) continue
      most = score
      token = seen(cloud.tokens.text.get(cloud.rankedTokens[r]?.id) ?? '')
    }
    if (!words.length && !token) continue
    out.push({ row: densest(positions, list.map((i) => rows[i]), dims), text: words.join(', '), token, n: list.length })
  }
  return out
}
