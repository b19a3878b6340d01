import { Cloud, loadAxes, loadCloud, Tokens } from '../data/cloud'
import { Stale, type Source } from '../data/source'
import type { LiveStatus, LiveToken, RunInfo, Word } from '../data/types'
import { isSomewhere, type Places } from './places'

/** A request's body ends at 64 kB. */
const MOST_BYTES = 60_000
const NEIGHBORS = 10

/** A turn of a conversation. */
export interface Message {
  role: string
  content: string
}
/** A prompt that the model has read. */
export interface Prompt {
  id: number
  /** What was typed; of a conversation all that was said. */
  text: string
  asked: string | Message[]
  /** What was added to what the model computes while it read. */
  steered?: Steered
  run: number
  tokens: LiveToken[]
  next: Word[]
  notes: string[]
  seconds: number
}
/** A direction of the server's, how many times it is added, and where. */
export interface Steered {
  direction: number
  strength: number
  site: string
}
/** A prompt on the map in view. */
export interface Laid {
  cloud: Cloud
  /** [n, 3] in the map's world. */
  positions: Float32Array
}
/** How far apart two tokens are at a site, in the full space. */
export interface Apart {
  component: string
  layer: number
  distance: number
  cosine: number | null
}

/** Prompts that were typed in: one that is being read, and two at most that are shown, side by side. */
export class Live {
  status = $state.raw<LiveStatus | null>(null)
  prompts = $state.raw<Prompt[]>([])
  /** Of each prompt; null: not on this map (yet). */
  laid = $state.raw<(Laid | null)[]>([])
  /** They are being laid on the map in view: on a large UMAP that takes seconds. */
  placing = $state(false)
  /** Of each prompt the token that was chosen, -1: none; and whose was chosen last. */
  picked = $state.raw<number[]>([])
  private latest = $state(0)
  /** Of maps with several components: the one whose neighbours and distances are listed. */
  component = $state('')
  words = $state.raw<{ layer: number; words: Word[] }[] | null>(null)
  near = $state.raw<{ layer: number; rows: number[]; distances: number[] } | null>(null)
  apart = $state.raw<Apart[] | null>(null)
  kept = $state.raw<Record<number, string>>({})
  error = $state('')
  private map: { cloud: Cloud; axes: number[]; places: Places } | null = null
  private lays = 0
  private looks = 0

  constructor(
    private readonly source: Source,
    private readonly changed: () => void,
    private readonly wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds)),
  ) {}

  get busy(): boolean {
    return this.status !== null
  }

  /** Reads a text or a conversation, maybe steered, in place of all that there are, or `beside` the first one. */
  async read(run: RunInfo, prompt: string | Message[], beside: boolean, steered?: Steered): Promise<void> {
    if (this.busy) return
    this.error = ''
    const texts = typeof prompt === 'string' ? [prompt] : prompt.map((m) => m.content)
    if (!texts.some((text) => text.trim())) return this.fail('The prompt is empty: type something.')
    const body = { run: run.id, ...(typeof prompt === 'string' ? { text: prompt } : { messages: prompt }), ...(steered ? { steer: { direction: steered.direction, strength: steered.strength } } : {}) }
    // A server ends the connection on what is too large, which says nothing.
    if (texts.some((text) => text.length > MOST_BYTES) || new TextEncoder().encode(JSON.stringify(body)).length > MOST_BYTES)
      return this.fail('The prompt is too long to be sent: nothing was read.')
    try {
      this.status = { id: 0, state: 'running', task: 'asking', done: 0, total: 0, unit: '' }
      const { id } = await this.source.send<{ id: number }>('POST', 'live', body)
      for (let pause = 40; ; pause = Math.min(400, 1.5 * pause)) {
        const status = await this.source.json<LiveStatus>(`live/${id}`)
        if (status.state === 'cancelled') return
        if (status.state === 'failed') return this.fail(status.error ?? 'the prompt was not read')
        if (status.state === 'done') return await this.take({ id, text: texts.join('\n'), asked: prompt, steered, run: run.id, tokens: status.tokens!, next: status.next ?? [], notes: status.notes ?? [], seconds: status.seconds ?? 0 }, beside)
        this.status = status
        await this.wait(pause)
      }
    } catch (error) {
      this.fail((error as Error).message)
    } finally {
      this.status = null
    }
  }

  async cancel(): Promise<void> {
    try {
      if (this.status?.id) await this.source.send('DELETE', `live/${this.status.id}`)
    } catch (error) {
      this.fail((error as Error).message)
    }
  }

  private fail(line: string): void {
    this.error = line
  }

  private async take(prompt: Prompt, beside: boolean): Promise<void> {
    const first = this.prompts.find((p) => p.run === prompt.run && !(prompt.steered && p.steered))
    const prompts = beside && first ? [first, prompt] : [prompt]
    // Until it is laid out it has no place: that of the one before it is not its own.
    this.laid = prompts.map((p) => (p === prompt ? null : this.laid[this.prompts.indexOf(p)]))
    this.prompts = prompts
    this.picked = this.prompts.map(() => -1)
    await this.lay()
  }

  drop(which: number): void {
    this.prompts = this.prompts.filter((_, i) => i !== which)
    this.laid = this.laid.filter((_, i) => i !== which)
    this.picked = this.prompts.map(() => -1)
    this.look()
    this.changed()
  }

  /** Another map, or other axes of it, are in view. */
  show(cloud: Cloud, axes: number[], places: Places): void {
    this.map = { cloud, axes, places }
    this.laid = this.prompts.map(() => null)
    if (!cloud.components.includes(this.component)) this.component = cloud.components[0]
    void this.lay()
  }
  close(): void {
    this.map = null
    this.laid = this.prompts.map(() => null)
  }

  /** Lays all prompts on the map in view. */
  private async lay(): Promise<void> {
    const lay = ++this.lays
    const { map, prompts } = this
    if (!map || !prompts.length) {
      this.placing = false
      return this.look()
    }
    this.placing = true
    try {
      const laid = await Promise.all(prompts.map((prompt) => this.layOne(prompt, map)))
      if (lay !== this.lays) return
      this.laid = laid
    } catch (error) {
      if (lay !== this.lays) return
      this.laid = prompts.map(() => null)
      if (!(error instanceof Stale)) this.fail((error as Error).message)
    }
    this.placing = false
    this.look()
    this.changed()
  }

  private async layOne(prompt: Prompt, { cloud, axes, places }: NonNullable<Live['map']>): Promise<Laid | null> {
    if (prompt.run !== cloud.run.id) return null
    const text = new Map(prompt.tokens.map((t) => [t.id, t.text]))
    const tokens = new Tokens({ n: prompt.tokens.length, sequence_starts: [0], columns: {} }, new Map([['token_id', Int32Array.from(prompt.tokens, (t) => t.id)]]), text)
    const own = await loadCloud(this.source, cloud.run, cloud.name, [], Promise.resolve(tokens), `live/${prompt.id}/maps/${cloud.name}`)
    await loadAxes(this.source, own, [...new Set(axes)])
    const columns = axes.map((a, k) => (k === 2 && cloud.dims < 3 ? undefined : own.axis(a)))
    return { cloud: own, positions: places.scaled(columns, own.n) }
  }

  /** A token is looked at, or no longer. */
  choose(which: number, token: number): void {
    this.picked = this.picked.map((of, i) => (i !== which ? of : of === token ? -1 : token))
    this.latest = this.picked[which] < 0 && this.picked[1 - which] >= 0 ? 1 - which : which
    this.look()
    this.changed()
  }
  chooseComponent(component: string): void {
    this.component = component
    this.look()
  }
  clear(): void {
    if (!this.chosen) return
    this.picked = this.prompts.map(() => -1)
    this.look()
    this.changed()
  }

  /** "the second prompt": what one of them is called. */
  nameOf(which: number): string {
    if (this.prompts[which]?.steered) return 'the steered prompt'
    return this.prompts.length < 2 ? 'the prompt' : which ? 'the second prompt' : this.prompts[1].steered ? 'the prompt as it is' : 'the first prompt'
  }
  /** The token that is looked at. */
  get chosen(): { which: number; token: number } | null {
    const token = this.picked[this.latest] ?? -1
    return token < 0 ? null : { which: this.latest, token }
  }
  /** Of a prompt: the token that another prompt's is compared with. */
  compared(which: number): number {
    return this.picked[which] >= 0 ? this.picked[which] : this.prompts[which].tokens.length - 1
  }
  /** The token that lists are of: the chosen one, else the last of the last prompt. */
  get subject(): { which: number; token: number } | null {
    if (this.chosen) return this.chosen
    const which = this.prompts.length - 1
    return which < 0 ? null : { which, token: this.prompts[which].tokens.length - 1 }
  }

  /** The layer whose neighbours are listed: the one that is shown, else the last. */
  private shown = -1
  atLayer(layer: number): void {
    if (this.shown === layer) return
    this.shown = layer
    void this.lookAround(this.looks)
  }

  /** Fetches what is said of the token that is looked at. */
  private look(): void {
    const look = ++this.looks
    this.words = this.near = this.apart = null
    const { subject } = this
    if (!subject) return
    const prompt = this.prompts[subject.which]
    void this.source.json<{ layer: number; words: Word[] }[]>(`live/${prompt.id}/words?token=${subject.token}`).then(
      (words) => {
        if (look === this.looks) this.words = words
      },
      () => {},
    )
    void this.lookAround(look)
    if (this.prompts.length < 2 || !this.laid.every((l) => l !== null)) return
    const [a, b] = this.prompts
    void this.source.json<Apart[]>(`live/${a.id}/maps/${this.map!.cloud.name}/apart?token=${this.compared(0)}&from=${b.id}&to=${this.compared(1)}`).then(
      (apart) => {
        if (look === this.looks) this.apart = apart
      },
      () => {},
    )
  }

  private async lookAround(look: number): Promise<void> {
    this.near = null
    const { subject } = this
    const own = subject && this.laid[subject.which]?.cloud
    // Neighbours are searched for a token that was asked for: it reads all rows of the map.
    if (!this.chosen || !own || !this.map) return
    const ways = own.layers.filter((l) => own.find(this.component, l, subject.token) >= 0)
    const layer = ways.includes(this.shown) ? this.shown : (ways.at(-1) ?? -1)
    const row = own.find(this.component, layer, subject.token)
    if (row < 0) return
    const shown = this.shown
    try {
      const near = await this.source.json<{ rows: number[]; distances: number[] }>(`${own.base}/nearest?row=${row}&k=${NEIGHBORS}`)
      if (look === this.looks && shown === this.shown) this.near = { layer, ...near }
    } catch (error) {
      if (look === this.looks && shown === this.shown) this.fail((error as Error).message)
    }
  }

  async keep(which: number, name: string): Promise<void> {
    const { id } = this.prompts[which]
    this.error = ''
    try {
      const { path } = await this.source.send<{ path: string }>('POST', `live/${id}/keep`, { name })
      this.kept = { ...this.kept, [id]: path }
    } catch (error) {
      this.fail((error as Error).message)
    }
  }

  /** Where a prompt's row is on its way to the next layer, `mix` from 0 to 1; null: nowhere. */
  placeOf({ cloud, positions }: Laid, row: number, mix: number): [number, number, number] | null {
    if (!isSomewhere(positions[3 * row])) return null
    let to = row
    if (mix > 0) {
      const way = cloud.way(row)
      to = way[way.indexOf(row) + 1] ?? row
    }
    const along = (k: number) => positions[3 * row + k] + mix * (positions[3 * to + k] - positions[3 * row + k])
    return [along(0), along(1), along(2)]
  }
}
