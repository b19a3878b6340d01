import type { Pose } from '../map/camera'
import type { Coloring } from '../map/shaders'

/** All that a shared link carries; a key that is absent has its default. */
export interface Shared {
  run?: string
  projection?: string
  axes?: number[]
  dim?: 2 | 3
  color?: Coloring
  size?: number
  density?: boolean
  hide?: Record<'component' | 'layer' | 'label' | 'token' | 'expert', number[]>
  first?: boolean
  layer?: number
  paths?: boolean
  labels?: boolean
  /** Layers or runs in a picture each; '': all in one. */
  beside?: '' | 'layers' | 'runs'
  pick?: number
  search?: string
  selected?: number[]
  other?: number
  heat?: string
  theme?: 'light' | 'dark'
  pose?: Pose
}

const MOST_SELECTED = 400

const list = (values: ArrayLike<number>) => Array.from(values).join('.')
const unlist = (text: string) =>
  text
    .split('.')
    .filter((t) => /^-?\d+$/.test(t))
    .map(Number)

export function write(state: Shared): string {
  const q = new URLSearchParams()
  if (state.run) q.set('run', state.run)
  if (state.projection) q.set('p', state.projection)
  if (state.axes && list(state.axes) !== '0.1.2') q.set('axes', list(state.axes))
  if (state.dim) q.set('dim', String(state.dim))
  if (state.color) q.set('color', state.color)
  if (state.size !== undefined) q.set('size', String(state.size))
  if (state.density) q.set('density', '1')
  if (state.hide)
    for (const [kind, values] of Object.entries(state.hide)) if (values.length) q.set(`hide-${kind}`, list(values))
  if (state.first === false) q.set('first', '0')
  if (state.layer !== undefined && state.layer >= 0) q.set('layer', String(state.layer))
  if (state.paths) q.set('paths', '1')
  if (state.labels === false) q.set('labels', '0')
  if (state.beside) q.set('beside', state.beside === 'layers' ? '1' : state.beside)
  if (state.pick !== undefined && state.pick >= 0) q.set('pick', String(state.pick))
  if (state.search) q.set('q', state.search)
  if (state.selected && state.selected.length && state.selected.length <= MOST_SELECTED) q.set('sel', list(state.selected))
  if (state.other) q.set('other', state.other.toFixed(2))
  if (state.heat) q.set('heat', state.heat)
  if (state.theme) q.set('theme', state.theme)
  const p = state.pose
  if (p) q.set('cam', [p.x, p.y, p.z, p.yaw, p.pitch, p.reach].map((v) => +v.toPrecision(5)).join(','))
  return q.toString()
}

/** Reads what `write` wrote; what it does not understand it leaves out. */
export function read(hash: string): Shared {
  const q = new URLSearchParams(hash.replace(/^#/, ''))
  const state: Shared = {}
  const text = (key: string) => q.get(key) ?? undefined
  state.run = text('run')
  state.projection = text('p')
  const axes = unlist(q.get('axes') ?? '')
  if (axes.length === 3 && axes.every((a) => a >= 0)) state.axes = axes
  const dim = q.get('dim')
  if (dim === '2' || dim === '3') state.dim = dim === '2' ? 2 : 3
  state.color = text('color') as Coloring | undefined
  const size = Number(q.get('size'))
  if (size >= 1 && size <= 20) state.size = size
  state.density = q.get('density') === '1'
  state.hide = {
    component: unlist(q.get('hide-component') ?? ''),
    layer: unlist(q.get('hide-layer') ?? ''),
    label: unlist(q.get('hide-label') ?? ''),
    token: unlist(q.get('hide-token') ?? ''),
    expert: unlist(q.get('hide-expert') ?? ''),
  }
  state.first = q.get('first') !== '0'
  if (q.has('layer')) state.layer = unlist(q.get('layer')!)[0]
  state.paths = q.get('paths') === '1'
  if (q.has('labels')) state.labels = q.get('labels') !== '0'
  const beside = q.get('beside')
  state.beside = beside === '1' ? 'layers' : beside === 'runs' ? 'runs' : ''
  if (q.has('pick')) state.pick = unlist(q.get('pick')!)[0]
  state.search = text('q')
  if (q.has('sel')) state.selected = unlist(q.get('sel')!)
  const other = Number(q.get('other'))
  if (other > 0 && other <= 1) state.other = other
  state.heat = text('heat')
  const theme = q.get('theme')
  if (theme === 'light' || theme === 'dark') state.theme = theme
  const cam = (q.get('cam') ?? '').split(',').map(Number)
  if (cam.length === 6 && cam.every(Number.isFinite) && cam[5] > 0) {
    const [x, y, z, yaw, pitch, reach] = cam
    state.pose = { dim: state.dim ?? 3, x, y, z, yaw, pitch, reach }
  }
  return state
}

/** Large selections are remembered of so many steps. */
const MOST_KEPT = 30

/** Two states with the same step are the same but for where one looks from: Back goes from step to step. */
function step(shared: Shared, selected: number): string {
  const { pose: _pose, size: _size, theme: _theme, heat: _heat, other: _other, search, ...rest } = shared
  return `${write({ ...rest, search: search ? '1' : '' })} ${selected}`
}

/** The address bar as a link to the view: written soon, and not at every frame. Each step can be gone back to. */
export class Link {
  private timer = 0
  private last: string | null = null
  private id = 0
  /** What is too large for an address. */
  private readonly kept = new Map<number, number[]>()

  /** `state`: what to write when the time has come; null: nothing to link to. `moving`: no step of its own. */
  keep(state: () => { shared: Shared; selected: () => number[]; count: number; moving: boolean } | null): void {
    clearTimeout(this.timer)
    this.timer = window.setTimeout(() => {
      const now = state()
      if (!now) return
      const { shared, selected, count, moving } = now
      const taken = step(shared, count)
      const another = this.last !== null && taken !== this.last && !moving
      if (!moving) this.last = taken
      const address = `${location.pathname}${location.search}#${write(shared)}`
      if (another) history.pushState({ step: ++this.id }, '', address)
      else history.replaceState({ step: this.id }, '', address)
      this.kept.delete(this.id)
      if (count > MOST_SELECTED) this.kept.set(this.id, selected())
      if (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value!)
    }, 250)
  }

  /** What the address and the browser's step say, once it has gone back or forth: the next `keep` is no new step. */
  arrive(hash: string, state: unknown): Shared {
    clearTimeout(this.timer)
    this.last = null
    const shared = read(hash)
    const id = (state as { step?: number } | null)?.step
    if (id === undefined) return shared
    this.id = id
    const selected = this.kept.get(id)
    return selected ? { ...shared, selected } : shared
  }
}
