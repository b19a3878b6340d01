/** What the server's manifest says; docs/viewer.md lists the routes. */
export interface ProjectionInfo {
  method: string
  n_rows: number
  n_candidates: number
  dim: number
  dims: number
  constant?: boolean
  center?: boolean
  selection: {
    components: string[]
    layers: string
    positions: string
    sequences: string
    labels: string[]
    normalize: string
    mean: string[]
    rows: number
    /** What a sample is of; absent: rows. */
    sample?: 'tokens' | 'rows'
    seed: number
    layer_order: string
  }
  explained_variance?: number[]
  explained_variance_ratio?: number[]
  /** Of other rows on a map's axes: its name, and the shares of the rows that these were fitted to. */
  basis_of?: string
  fitted_variance_ratio?: number[]
  total_variance?: number
  relative_variance?: number
  n_fitted?: number
  umap?: { n_neighbors: number; min_dist: number; metric: string; neighbor_search_recall: number }
  trustworthiness?: number
  /** Share of a row's nearest neighbours that the map keeps. */
  knn_recall?: number
  quality_sample?: number
  quality_k?: number
  /** What whoever made it had to say. */
  notes?: string[]
  [key: string]: unknown
}

export interface ProjectionEntry {
  name: string
  /** Another once it was made anew. */
  version?: string
  saved: boolean
  info: ProjectionInfo
}

export interface Finding {
  name: string
  effect: number | null
  interval: [number, number] | { lo: number; hi: number } | null
  null: number | null
  /** The chance of such an effect where nothing is, corrected for the number of findings. */
  p?: number | null
  /** holds; holds, as in an untrained twin; absent; undecided; not measurable. */
  verdict: string
  reason?: string
  effect_is?: string
  smaller_counts?: boolean
  detail?: Record<string, unknown>
}

export interface Outlier {
  site?: string
  sequence: number
  position: number
  token?: unknown
  context?: unknown
  score: number
  by?: string
}

export interface RunInfo {
  id: number
  name: string
  /** Another once the run has grown or was captured anew. */
  version?: string
  present: boolean
  complete: boolean
  model: { name: string; type: string; n_layers: number; d_model: number; [key: string]: unknown }
  prompts: string
  n_tokens: number
  n_rows: number
  n_sequences: number
  n_layers: number
  length: number
  labels: string[]
  /** Further columns of labels; one without words holds numbers. Absent: none. */
  columns?: { name: string; words?: string[] }[]
  scores?: string[]
  components: string[]
  /** Those whose vectors are kept. */
  layers?: number[]
  norm_maps: string[]
  projections: ProjectionEntry[]
  findings?: { findings: Finding[]; notes?: string[] }
  outliers?: { threshold: number; outliers: Outlier[]; first_tokens?: Outlier[] }
}

export interface Manifest {
  program: { name: string; version: string }
  compare: boolean
  runs: RunInfo[]
  study?: { name: string; figures: { file: string; group: string; caption: string }[] }
  /** Absent in a report: nothing can be computed there. */
  jobs?: { pca_rows: number; umap_rows: number; dims: number; umap: { metric: string; metrics: string[]; n_neighbors: number; min_dist: number } }
  /** Absent where no model was given: then there is no line to type in. One entry of `runs` a run. */
  live?: { model: string; tokens: number; chat: boolean; steer: SteerLimits; runs: { note?: string; refused?: string }[] }
  /** Somebody wants to know what is selected: the notebook that the page is shown in. */
  selection?: boolean
  /** Of a report: what was left out to keep the file small. */
  sampled?: Record<string, { shown: number; of: number }>
}

export interface ColumnShape {
  dtype: string
  bytes: number
}

export interface CloudHeader {
  name: string
  n: number
  dims: number
  /** [component, layer, rows, first token] */
  segments: [string, number, number, number][]
  averages: boolean
  /** Where layers are shown under numbers other than their own, as a control: the layer behind each number. */
  layer_of?: number[]
  norm: { low: number; high: number }
  /** Of other rows on a map's axes, which no manifest lists. */
  info?: ProjectionInfo
  /** Of a prompt: where its points are not what the map's are. */
  notes?: string[]
  columns: Record<string, ColumnShape>
}

/** A second run on a map of the first. */
export interface ComparisonHeader {
  n_matched: number
  version?: string
  notes: string[]
  /** Farthest first: root mean square displacement over `length`, that of the first run's rows, first positions left out. */
  sites: { component: string; layer: number; movement: number; length: number; rows: number }[]
}

/** A token's way through all layers that the run keeps, on a map or not. */
export interface WayHeader {
  component: string
  token: number
  layers: number[]
  /** [layers][dims], in the projection's units. */
  points: number[][]
  norms: number[]
  notes: string[]
}

export interface TokenHeader {
  n: number
  sequence_starts?: number[]
  columns: Record<string, ColumnShape>
}

/** A token of a prompt, and what the model expected of it; null: nothing predicts the first. */
export interface LiveToken {
  id: number
  text: string
  label?: string
  logprob: number | null
  entropy: number | null
  rank: number | null
}
/** What the server takes: points of each group at least and at most, and so many times a direction, either way. */
export interface SteerLimits {
  least: number
  most: number
  strength: number
}
/** From one group of a map's points to another, at a site. */
export interface Direction {
  id: number
  site: string
  length: number
  /** Of both groups' vectors. */
  mean_norm: number
  /** The chance that a half of the rows tells a pair of the other half apart. 0.5: not at all. */
  held_out: number
  toward: number
  away: number
}
/** What a prompt's steering does to the next word, in nats; `control`: random directions as long. */
export interface SteeringEffect {
  divergence: number
  control: number[]
  plain: Word[]
  steered: Word[]
}
export interface Word {
  text: string
  p: number
}
/** A prompt that is being read, or was. */
export interface LiveStatus {
  id: number
  state: 'running' | 'done' | 'failed' | 'cancelled'
  task: string
  done: number
  total: number
  unit: string
  error?: string
  tokens?: LiveToken[]
  notes?: string[]
  next?: Word[]
  seconds?: number
}

export interface Job {
  id: number
  state: 'running' | 'done' | 'failed' | 'cancelled'
  run: number
  name: string
  task: string
  done: number
  total: number
  unit: string
  saved: boolean
  error?: string
}
