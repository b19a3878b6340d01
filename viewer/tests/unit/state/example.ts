import { Cloud, Tokens } from '../../../src/data/cloud'
import type { Source } from '../../../src/data/source'
import type { CloudHeader, ProjectionInfo, RunInfo } from '../../../src/data/types'

export const run = {
  id: 0,
  name: 'text',
  version: 'r1',
  present: true,
  complete: true,
  labels: ['question', 'answer'],
  n_sequences: 2,
  n_tokens: 6,
  length: 4,
  prompts: 'text',
  norm_maps: ['attn_out', 'mlp_out'],
  projections: [{ name: 'p', version: 'v1', saved: true, info: {} }],
} as unknown as RunInfo

/** " a", "b", "c", " a" and " a", "c": two sequences of four and two tokens. */
export const tokens = new Tokens(
  { n: 6, sequence_starts: [0, 4], columns: {} },
  new Map([
    ['token_id', Int32Array.from([7, 8, 9, 7, 7, 9])],
    ['label', Int32Array.from([0, 0, 1, 1, -1, 0])],
  ]),
  new Map([
    [7, ' a'],
    [8, 'b'],
    [9, 'c'],
  ]),
  new Map<string, Int32Array | Float32Array>([
    ['column.role', Int32Array.from([0, 0, 1, 1, -1, 0])],
    ['column.turn', Int32Array.from([0, 0, 1, 1, -1, 2])],
    ['score.rank', Float32Array.from([NaN, 1, 10, 100, NaN, 1])],
  ]),
)

/** The same as a run has them that was imported without ids; the fourth has no text either. */
export const withoutIds = new Tokens(
  { n: 6, sequence_starts: [0, 4], columns: {} },
  new Map([['token_id', Int32Array.from([-2, -3, -4, -1, -2, -4])]]),
  new Map([
    [-2, ' a'],
    [-3, 'b'],
    [-4, 'c'],
  ]),
)

/** Attention's output for all six tokens at layers 0, 1 and 2: 18 rows, axis k of row i at k + i. */
export function cloud(header: Partial<CloudHeader> = {}, info: Partial<ProjectionInfo> = {}, of = tokens): Cloud {
  const n = 18
  const whole: CloudHeader = {
    name: 'p',
    n,
    dims: 3,
    averages: false,
    norm: { low: 1, high: 100 },
    segments: [0, 1, 2].map((layer) => ['attn_out', layer, 6, 0]),
    columns: {},
    ...header,
  }
  const columns = new Map([
    ['token', Uint16Array.from({ length: n }, (_, i) => (i % 6 ? 1 : 0))],
    ['norm', Uint16Array.from({ length: n }, (_, i) => i * 1000)],
  ])
  const axes = new Map([0, 1, 2].map((k) => [k, Float32Array.from({ length: n }, (_, i) => k + i)]))
  return new Cloud(run, 'p', { method: 'pca', ...info } as ProjectionInfo, whole, of, columns, axes)
}

/** Answers with what stands under a path, and keeps what was asked. */
export class ScriptedSource implements Source {
  readonly live = true
  readonly asked: string[] = []
  constructor(private readonly answers: Record<string, unknown | (() => unknown)>) {}

  private answer(path: string): unknown {
    this.asked.push(path)
    const found = this.answers[path]
    if (found === undefined) throw new Error(`nothing at ${path}`)
    return typeof found === 'function' ? found() : found
  }
  async json<T>(path: string, version?: string): Promise<T> {
    return this.answer(version ? `${path}@${version}` : path) as T
  }
  async column(path: string, version?: string): Promise<ArrayBuffer> {
    return this.answer(version ? `${path}@${version}` : path) as ArrayBuffer
  }
  async send<T>(method: string, path: string, body?: unknown): Promise<T> {
    this.asked.push(`${method} ${path} ${JSON.stringify(body)}`)
    return { id: 1 } as T
  }
  async tell(path: string, bytes: Uint8Array, version?: string): Promise<void> {
    this.answer(`${version ? `${path}@${version}` : path} ${[...bytes]}`)
  }
}
