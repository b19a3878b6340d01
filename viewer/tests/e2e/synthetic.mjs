// A run folder of any size: what a test needs to know about a million points is how many there are.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { binary } from './browser.mjs'

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
  const length = 500
  const width = 8
  const nTokens = n / 10
  const position = Int32Array.from({ length: nTokens }, (_, i) => i % length)
  const sequence = Int32Array.from({ length: nTokens }, (_, i) => Math.floor(i / length))
  const data = Float32Array.from({ length: nTokens * width }, (_, i) => 1 + ((i * 7919) % 97) / 97)
  const vectors = folder + '.safetensors'
  const names = [0, 1, 2, 3, 4].flatMap((l) => [`blocks.${l}.attn_out`, `blocks.${l}.mlp_out`])
  safetensors(vectors, Object.fromEntries(names.map((name) => [name, { dtype: 'F32', shape: [nTokens, width], data }])))
  const labels = folder + '.csv'
  const lines = Array.from(position, (p, i) => `${sequence[i]},${p}, t${(i * 7919) % 5000}`)
  writeFileSync(labels, 'sequence,position,token\n' + lines.join('\n') + '\n')
  execFileSync(binary, ['import', vectors, '--labels', labels, '--out', folder], { stdio: ['ignore', 'ignore', 'inherit'] })
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
    for (const c of [0, 1])
      for (let t = 0; t < nTokens; ++t, ++i) {
        const angle = (6 * t) / nTokens + l
        points[3 * i] = Math.sin(angle) * (1 + 0.2 * l) + 0.3 * random()
        points[3 * i + 1] = Math.cos(angle) * (c === 0 ? 1 : 0.5) + 0.3 * random()
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
    { components: 'attn_out,mlp_out' },
  )
  const selection = { components: ['attn_out', 'mlp_out'], layers: '0:', positions: '0:', sequences: '0:', labels: [], normalize: 'none', mean: [], rows: 0, seed: 42, layer_order: 'given' }
  writeFileSync(join(folder, 'projections', `${name}.json`), JSON.stringify({ method: 'pca', n_rows: n, n_candidates: n, dim: 8, selection, center: true, constant: false, dims: 3, total_variance: 1, explained_variance: [0.5, 0.3, 0.1], explained_variance_ratio: [0.5, 0.3, 0.1] }))
  return folder
}

/** Leaves of a projection the rows that `keep(row, n)` lets through: a map that lacks some. */
export function thin(folder, name, keep) {
  const path = join(folder, 'projections', `${name}.safetensors`)
  const bytes = readFileSync(path)
  const size = Number(bytes.readBigUInt64LE(0))
  const { __metadata__, ...tensors } = JSON.parse(bytes.subarray(8, 8 + size))
  const n = tensors.points.shape[0]
  const rows = Array.from({ length: n }, (_, row) => row).filter((row) => keep(row, n))
  const thinned = {}
  for (const [tensor, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(tensors)) {
    const data = bytes.subarray(8 + size + begin, 8 + size + end)
    const each = data.length / n
    thinned[tensor] = shape[0] !== n ? { dtype, shape, data } : { dtype, shape: [rows.length, ...shape.slice(1)], data: Buffer.concat(rows.map((row) => data.subarray(row * each, (row + 1) * each))) }
  }
  safetensors(path, thinned, __metadata__)
  const described = path.replace(/safetensors$/, 'json')
  writeFileSync(described, JSON.stringify({ ...JSON.parse(readFileSync(described)), n_rows: rows.length }))
}
