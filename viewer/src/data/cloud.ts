import { mapOf } from './others'
import type { CloudHeader, ProjectionInfo, RunInfo, TokenHeader } from './types'
import type { Source } from './source'

/** Tokens of a run, one entry each, and the text of each kind of token. */
export class Tokens {
  readonly n: number
  readonly position: Int32Array
  readonly sequence: Int32Array
  /** What tells tokens apart: the id; below -1, one for each text, where there is none; -1: neither id nor text. */
  readonly tokenId: Int32Array
  readonly label: Int32Array | null
  /** Further columns and scores, by "column.role" and "score.rank": below 0 or NaN where there is nothing to say. */
  readonly further: Map<string, Numbers>
  readonly text: Map<number, string>
  /** First token of each sequence, and the end. */
  readonly starts: number[]

  constructor(header: TokenHeader, columns: Map<string, Int32Array>, text: Map<number, string>, further: Map<string, Numbers> = new Map()) {
    this.n = header.n
    this.further = further
    this.text = text
    this.tokenId = columns.get('token_id')!
    this.label = columns.get('label') ?? null
    this.starts = []
    if (header.sequence_starts) {
      this.position = new Int32Array(this.n)
      this.sequence = new Int32Array(this.n)
      header.sequence_starts.forEach((start, s) => {
        const end = header.sequence_starts![s + 1] ?? this.n
        this.starts.push(start)
        for (let i = start; i < end; ++i) {
          this.position[i] = i - start
          this.sequence[i] = s
        }
      })
    } else {
      this.position = columns.get('position')!
      this.sequence = columns.get('sequence')!
      for (let i = 0; i < this.n; ++i) if (i === 0 || this.sequence[i] !== this.sequence[i - 1]) this.starts.push(i)
    }
    this.starts.push(this.n)
  }

  private ends: Int32Array | null = null
  /** Position from the end of each token's sequence: -1 is its last. */
  get fromEnd(): Int32Array {
    if (!this.ends) {
      this.ends = new Int32Array(this.n)
      for (let s = 0; s + 1 < this.starts.length; ++s) for (let i = this.starts[s]; i < this.starts[s + 1]; ++i) this.ends[i] = i - this.starts[s + 1]
    }
    return this.ends
  }

  /** As the run has it; -1: none. */
  id(token: number): number {
    return Math.max(-1, this.tokenId[token])
  }
  piece(token: number): string {
    return this.text.get(this.tokenId[token]) ?? ''
  }

  /** Tokens [begin, end) around one, within its sequence. */
  around(token: number, before: number, after: number): { begin: number; end: number } {
    let low = 0
    let high = this.starts.length - 1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (this.starts[middle] <= token) low = middle
      else high = middle
    }
    return { begin: Math.max(this.starts[low], token - before), end: Math.min(this.starts[high], token + after + 1) }
  }
}

type Numbers = Float32Array | Int32Array | Uint32Array | Uint16Array | Int16Array | Uint8Array

export function numbers(dtype: string, buffer: ArrayBuffer): Numbers {
  switch (dtype) {
    case 'f32':
      return new Float32Array(buffer)
    case 'i32':
      return new Int32Array(buffer)
    case 'u32':
      return new Uint32Array(buffer)
    case 'u16':
      return new Uint16Array(buffer)
    case 'i16':
      return new Int16Array(buffer)
    case 'u8':
      return new Uint8Array(buffer)
    default:
      throw new Error(`unknown kind of numbers: ${dtype}`)
  }
}

async function loadTokens(source: Source, { id: run, version }: RunInfo): Promise<Tokens> {
  const [header, words] = await Promise.all([
    source.json<TokenHeader>(`runs/${run}/tokens`, version),
    source.json<[number, string][]>(`runs/${run}/vocabulary`, version),
  ])
  const columns = new Map<string, Int32Array>()
  const further = new Map<string, Numbers>()
  await Promise.all(
    Object.entries(header.columns).map(async ([name, { dtype }]) => {
      const values = numbers(dtype, await source.column(`runs/${run}/tokens/${name}`, version))
      if (name.includes('.')) further.set(name, values)
      else columns.set(name, values instanceof Int32Array ? values : Int32Array.from(values))
    }),
  )
  return new Tokens(header, columns, new Map(words), further)
}

/** Tokens of runs, read once for each version of a run. */
export class TokenTables {
  private readonly tables = new Map<string, Promise<Tokens>>()
  constructor(private readonly source: Source) {}

  of(run: RunInfo): Promise<Tokens> {
    const key = `${run.id}/${run.version}`
    let tokens = this.tables.get(key)
    if (!tokens) {
      tokens = loadTokens(this.source, run)
      tokens.catch(() => this.tables.delete(key))
      for (const old of this.tables.keys()) if (old.startsWith(`${run.id}/`)) this.tables.delete(old)
      this.tables.set(key, tokens)
    }
    return tokens
  }
}

/** Of the projection's rows: who they are. One entry a row. */
export interface Labels {
  component: Uint8Array
  layer: Int16Array
  position: Int32Array
  sequence: Int32Array
  label: Int32Array
  /** Index into the run's tokens, -1: an average. */
  token: Int32Array
  /** Of a mixture: which one the router preferred here, at most 254; -1: none. */
  expert: Int16Array
}

/** A projection in the page. */
export class Cloud {
  readonly n: number
  readonly dims: number
  readonly components: string[]
  readonly labels: Labels
  readonly normCode: Uint16Array
  /** Each token's rank by frequency in the cloud, for colours. 65535: none. */
  readonly tokenRank: Uint16Array
  /** Kinds of tokens by rank. */
  readonly rankedTokens: { id: number; count: number }[]
  readonly hasLayers: boolean
  readonly layers: number[]
  readonly averages: boolean

  constructor(
    readonly run: RunInfo,
    readonly name: string,
    readonly info: ProjectionInfo,
    readonly header: CloudHeader,
    readonly tokens: Tokens,
    columns: Map<string, Numbers>,
    private readonly axisColumns: Map<number, Float32Array>,
    /** Where the source has it. */
    readonly base = `runs/${run.id}/projections/${name}`,
  ) {
    this.n = header.n
    this.dims = header.dims
    this.averages = header.averages
    this.components = [...new Set(header.segments.map(([component]) => component))]
    const component = new Uint8Array(this.n)
    const layer = new Int16Array(this.n)
    const token = new Int32Array(this.n).fill(-1)
    const steps = columns.get('token')
    let row = 0
    for (const [name_, layer_, count, first] of header.segments) {
      component.fill(this.components.indexOf(name_), row, row + count)
      layer.fill(layer_, row, row + count)
      if (steps instanceof Uint16Array) {
        let current = first
        for (let i = row; i < row + count; ++i) token[i] = current += steps[i]
      } else if (steps) {
        for (let i = row; i < row + count; ++i) token[i] = steps[i]
      }
      row += count
    }
    const own = (name_: string, of: Int32Array | null): Int32Array => {
      const column = columns.get(name_)
      if (column) return column as Int32Array
      const values = new Int32Array(this.n).fill(-1)
      if (of) for (let i = 0; i < this.n; ++i) if (token[i] >= 0) values[i] = of[token[i]]
      return values
    }
    this.labels = {
      component,
      layer,
      token,
      position: own('position', tokens.position),
      sequence: own('sequence', tokens.sequence),
      label: own('label', tokens.label),
      expert: new Int16Array(this.n).fill(-1),
    }
    const experts = columns.get('expert')
    if (experts) for (let i = 0; i < this.n; ++i) this.labels.expert[i] = experts[i] === 255 ? -1 : experts[i]
    this.layers = [...new Set(header.segments.map(([, l]) => l))].filter((l) => l >= 0).sort((a, b) => a - b)
    this.hasLayers = this.layers.length > 1
    this.normCode = columns.get('norm') as Uint16Array

    const counts = new Map<number, number>()
    for (let i = 0; i < this.n; ++i) {
      if (token[i] < 0) continue
      const id = tokens.tokenId[token[i]]
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    this.rankedTokens = [...counts]
      .map(([id, count]) => ({ id, count }))
      .sort((a, b) => b.count - a.count || a.id - b.id)
    const ranks = new Map(this.rankedTokens.map(({ id }, rank) => [id, Math.min(rank, 65534)]))
    this.tokenRank = new Uint16Array(this.n).fill(65535)
    for (let i = 0; i < this.n; ++i) if (token[i] >= 0) this.tokenRank[i] = ranks.get(tokens.tokenId[token[i]])!
  }

  /** Which of those that had its name. */
  get version(): string | undefined {
    return this.run.projections.find((p) => p.name === mapOf(this.name))?.version
  }

  norm(row: number): number {
    return this.normOf(this.normCode[row])
  }
  normOf(code: number): number {
    const { low, high } = this.header.norm
    return code === 65535 ? 0 : low * Math.exp((code / 65534) * Math.log(high / low))
  }

  axis(k: number): Float32Array | undefined {
    return this.axisColumns.get(k)
  }
  addAxis(k: number, values: Float32Array): void {
    this.axisColumns.set(k, values)
  }

  /** The model's layer that a number stands for: the same, but in a control whose layers are renumbered. */
  layerOf(shown: number): number {
    return shown < 0 ? shown : (this.header.layer_of?.[shown] ?? shown)
  }
  /** The number under which a layer of the model is shown. */
  shownAs(layer: number): number {
    return layer < 0 || !this.header.layer_of ? layer : this.header.layer_of.indexOf(layer)
  }
  /** "layer 3"; of a control "layer 3 (is 17)". */
  layerName(shown: number): string {
    const layer = this.layerOf(shown)
    return layer === shown ? `layer ${shown}` : `layer ${shown} (is ${layer})`
  }

  /** "blocks.3.attn_out": where in the model the row was read. */
  site(row: number): string {
    const component = this.components[this.labels.component[row]]
    const layer = this.layerOf(this.labels.layer[row])
    return layer < 0 ? component : `blocks.${layer}.${component}`
  }
  /** Row of a token at a site of the model, -1: none. */
  rowAt(site: string, token: number): number {
    const match = /^blocks\.(\d+)\.(\w+)$/.exec(site)
    return match ? this.find(match[2], this.shownAs(Number(match[1])), token) : this.find(site, -1, token)
  }
  /** Rows of a layer of the model and of what lies outside of layers, at a position. */
  rowsAt(layer: number, position: number): number[] {
    const shown = this.shownAs(layer)
    const rows: number[] = []
    for (let i = 0; i < this.n; ++i)
      if (this.labels.position[i] === position && (this.labels.layer[i] === shown || this.labels.layer[i] < 0)) rows.push(i)
    return rows
  }
  /** Position from the end of its sequence, -1 is the last; 0: that cannot be said of this average. */
  fromEnd(row: number): number {
    const token = this.labels.token[row]
    if (token >= 0) return this.tokens.fromEnd[token]
    const position = this.labels.position[row]
    const { length, n_tokens, n_sequences } = this.run
    // Averages over what was chosen by its end stand under the longest sequence's positions.
    const known = n_tokens === length * n_sequences || this.info.selection?.positions.includes('-')
    return position >= 0 && known ? position - length : 0
  }
  piece(row: number): string {
    const token = this.labels.token[row]
    return token < 0 ? '' : this.tokens.piece(token)
  }

  /** The row of the same token and component at each layer in turn: -1 where there is none. */
  private trackIndex: Map<string, number> | null = null
  private key(row: number, layer: number): string {
    const l = this.labels
    const who = l.token[row] >= 0 ? `t${l.token[row]}` : `s${l.sequence[row]}p${l.position[row]}b${l.label[row]}`
    return `${l.component[row]}/${layer}/${who}`
  }
  /** For averages and small clouds through a table; for tokens by search inside a segment. */
  atLayer(row: number, layer: number): number {
    if (this.labels.layer[row] < 0) return -1
    if (this.averages) {
      if (!this.trackIndex) {
        this.trackIndex = new Map()
        for (let i = 0; i < this.n; ++i) this.trackIndex.set(this.key(i, this.labels.layer[i]), i)
      }
      return this.trackIndex.get(this.key(row, layer)) ?? -1
    }
    return this.find(this.components[this.labels.component[row]], layer, this.labels.token[row])
  }

  private segmentStarts: Map<string, [number, number]> | null = null
  /** Row of a token at a site, -1: none. */
  find(component: string, layer: number, token: number): number {
    if (!this.segmentStarts) {
      this.segmentStarts = new Map()
      let row = 0
      for (const [name, l, count] of this.header.segments) {
        this.segmentStarts.set(`${name}/${l}`, [row, row + count])
        row += count
      }
    }
    const range = this.segmentStarts.get(`${component}/${layer}`)
    if (!range) return -1
    let [low, high] = range
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.labels.token[middle] < token) low = middle + 1
      else high = middle
    }
    return low < range[1] && this.labels.token[low] === token ? low : -1
  }

  private layersByComponent: number[][] | null = null
  /** A row's token at each layer where its component is on this map, in order; -1: not on the map. */
  way(row: number): number[] {
    if (!this.layersByComponent) {
      this.layersByComponent = this.components.map((name) =>
        [...new Set(this.header.segments.filter(([c, l]) => c === name && l >= 0).map(([, l]) => l))].sort((a, b) => a - b),
      )
    }
    return this.layersByComponent[this.labels.component[row]].map((layer) => this.atLayer(row, layer))
  }

  /** Rows of a row's token through the layers, in order, those that there are. */
  path(row: number): number[] {
    return this.way(row).filter((r) => r >= 0)
  }

  /** Index of each row's next layer, for playback. Rows of the last layer stay. */
  nextRows(): Int32Array {
    const next = new Int32Array(this.n)
    const following = new Map(this.layers.map((layer, i) => [layer, this.layers[i + 1]]))
    for (let i = 0; i < this.n; ++i) {
      const layer = following.get(this.labels.layer[i])
      const row = layer === undefined ? -1 : this.atLayer(i, layer)
      next[i] = row < 0 ? i : row
    }
    return next
  }
}

export async function loadAxes(source: Source, cloud: Cloud, axes: number[]): Promise<void> {
  await Promise.all(
    axes
      .filter((k) => k < cloud.dims && !cloud.axis(k))
      .map(async (k) => cloud.addAxis(k, new Float32Array(await source.column(`${cloud.base}/axis${k}`, cloud.version)))),
  )
}

export async function loadCloud(
  source: Source,
  run: RunInfo,
  name: string,
  axes: number[],
  tokens: Promise<Tokens>,
  base = `runs/${run.id}/projections/${name}`,
): Promise<Cloud> {
  const entry = run.projections.find((p) => p.name === mapOf(name))
  if (!entry) throw new Error(`there is no projection ${name}`)
  const load = async (column: string) => source.column(`${base}/${column}`, entry.version)
  const wanted = axes.filter((k) => k < entry.info.dims)
  const axisColumns = new Map<number, Float32Array>()
  // Axes start with the header, so that a large cloud loses no round trip.
  const loading = Promise.all(wanted.map(async (k) => axisColumns.set(k, new Float32Array(await load(`axis${k}`)))))
  loading.catch(() => {}) // said below
  const header = await source.json<CloudHeader>(base, entry.version)
  const columns = new Map<string, Numbers>()
  const others = Object.entries(header.columns).filter(([column]) => !column.startsWith('axis'))
  await Promise.all([loading, ...others.map(async ([column, { dtype }]) => columns.set(column, numbers(dtype, await load(column))))])
  return new Cloud(run, name, header.info ?? entry.info, header, await tokens, columns, axisColumns, base)
}
