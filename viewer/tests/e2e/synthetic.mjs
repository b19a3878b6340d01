// A run folder of any size, written by hand: what a test needs to know about a million points is how many there are.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** tensors: {name: {dtype, shape, data (typed array)}} as one safetensors file. */
export function safetensors(path, tensors, metadata) {
  const header = metadata ? { __metadata__: metadata } : {}
  let offset = 0
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, (offset += data.byteLength)] }
  }
  let text = JSON.stringify(header)
  text += ' '.repeat((8 - (text.length % 8)) % 8)
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(text.length))
  writeFileSync(path, Buffer.concat([head, Buffer.from(text), ...Object.values(tensors).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))]))
}

const i32 = (data) => ({ dtype: 'I32', shape: [data.length], data })

/** n rows: 10 sites of n / 10 tokens, two components at five layers, in a spiral with noise. */
export function synthesize(folder, n) {
  mkdirSync(folder, { recursive: true })
  const length = 500
  const nTokens = n / 10
  const sequences = nTokens / length
  const id = Int32Array.from({ length: nTokens }, (_, i) => (i * 7919) % 5000)
  const position = Int32Array.from({ length: nTokens }, (_, i) => i % length)
  const sequence = Int32Array.from({ length: nTokens }, (_, i) => Math.floor(i / length))
  const none = new Int32Array(nTokens).fill(-1)
  safetensors(join(folder, 'tokens.safetensors'), { token_id: i32(id), position: i32(position), sequence: i32(sequence), label: i32(none) })
  const lines = Array.from({ length: sequences }, (_, s) =>
    JSON.stringify({ sequence: s, pieces: Array.from(id.subarray(s * length, (s + 1) * length), (t) => ` t${t}`) }),
  )
  writeFileSync(join(folder, 'tokens.jsonl'), lines.join('\n') + '\n')
  const model = { name: 'synthetic', path: 'none', architecture: 'none', type: 'F32', d_model: 8, n_layers: 5, n_heads: 1, n_kv_heads: 1, context_length: length, n_vocab: 5000, n_parameters: 0, file_bytes: 0, learned_positions: false }
  const sites = [0, 1, 2, 3, 4].flatMap((l) => ['attn_out', 'mlp_out'].map((c) => ({ name: `blocks.${l}.${c}`, shape: [8], vectors: false })))
  writeFileSync(
    join(folder, 'run.json'),
    JSON.stringify({ format: 1, program: { name: 'tomograph', version: '0.1.0' }, status: 'complete', model, prompts: { kind: 'text', sequences, length, start_token: null, sources: [], asked: sequences }, labels: [], capture: { vectors: false, dtype: 'F16', layers: '0:', positions: '0:', sample: 1, seed: 1, exact: false, components: ['attn_out', 'mlp_out'] }, n_tokens: nTokens, n_rows: 0, sites, shards: [] }),
  )
  return synthesizeProjection(folder, 'spiral', n, { position, sequence })
}

/** A projection of n rows, of the tokens whose columns are given; n may be 0. */
export function synthesizeProjection(folder, name, n, { position, sequence } = {}) {
  mkdirSync(join(folder, 'projections'), { recursive: true })
  const nTokens = n / 10
  let state = 1
  const random = () => ((state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32)
  const points = new Float32Array(3 * n)
  const row = new Int32Array(n)
  const component = new Int32Array(n)
  const layer = new Int32Array(n)
  const norm = new Float32Array(n)
  let i = 0
  for (let l = 0; l < 5; ++l)
    for (const c of [5, 9])
      for (let t = 0; t < nTokens; ++t, ++i) {
        const angle = (6 * t) / nTokens + l
        points[3 * i] = Math.sin(angle) * (1 + 0.2 * l) + 0.3 * random()
        points[3 * i + 1] = Math.cos(angle) * (c === 5 ? 1 : 0.5) + 0.3 * random()
        points[3 * i + 2] = 0.4 * l + 0.3 * random()
        row[i] = t
        component[i] = c
        layer[i] = l
        norm[i] = 1 + l + 10 * random()
      }
  const of = (column) => Int32Array.from(row, (t) => column[t])
  safetensors(
    join(folder, 'projections', `${name}.safetensors`),
    {
      points: { dtype: 'F32', shape: [n, 3], data: points },
      row: i32(row),
      component: i32(component),
      layer: i32(layer),
      position: i32(of(position)),
      sequence: i32(of(sequence)),
      label: i32(new Int32Array(n).fill(-1)),
      norm: { dtype: 'F32', shape: [n], data: norm },
    },
    { components: '' },
  )
  const selection = { components: ['attn_out', 'mlp_out'], layers: '0:', positions: '0:', sequences: '0:', labels: [], normalize: 'none', mean: [], rows: 0, seed: 42, layer_order: 'given' }
  writeFileSync(join(folder, 'projections', `${name}.json`), JSON.stringify({ method: 'pca', n_rows: n, n_candidates: n, dim: 8, selection, center: true, constant: false, dims: 3, total_variance: 1, explained_variance: [0.5, 0.3, 0.1], explained_variance_ratio: [0.5, 0.3, 0.1] }))
  return folder
}
