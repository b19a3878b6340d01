/// <reference lib="webworker" />
import { lasso, nearestOnMap, type Places } from './search'
import type { Filter, FilterColumns } from './visible'

export type Question =
  | { kind: 'load'; positions: Float32Array; columns: FilterColumns }
  | { kind: 'next'; next: Float32Array | null }
  | { kind: 'other'; positions: Float32Array | null; next: Float32Array | null }
  | { kind: 'lasso'; id: number; matrix: Float32Array; width: number; height: number; polygon: Float32Array; filter: Filter; mix: number; side: number }
  | { kind: 'nearest'; id: number; row: number; k: number; dims: number; filter: Filter }

let places: Places = { positions: new Float32Array(0), next: null, mix: 0 }
let other: Places | null = null
let columns: FilterColumns | null = null

self.onmessage = ({ data }: MessageEvent<Question>) => {
  if (data.kind === 'load') {
    places = { positions: data.positions, next: null, mix: 0 }
    other = null
    columns = data.columns
  } else if (data.kind === 'next') {
    places.next = data.next
  } else if (data.kind === 'other') {
    other = data.positions && { positions: data.positions, next: data.next, mix: 0 }
  } else if (data.kind === 'lasso') {
    const began = performance.now()
    const rows = lasso({ ...((data.side && other) || places), mix: data.mix }, columns!, data.filter, data.matrix, data.width, data.height, data.polygon)
    self.postMessage({ id: data.id, rows, milliseconds: performance.now() - began }, [rows.buffer])
  } else {
    self.postMessage({ id: data.id, ...nearestOnMap(places, columns!, data.filter, data.row, data.k, data.dims) })
  }
}
