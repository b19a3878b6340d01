import SearchWorker from './worker?worker&inline'
import type { Question } from './worker'
import type { Filter, FilterColumns } from './visible'

type Answer = Record<string, unknown> & { id: number }

/** The worker that searches points, so that the page keeps moving. It holds its own copy of the positions. */
export class SearchClient {
  private readonly worker = new SearchWorker()
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private id = 0

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.waiting.get(data.id)?.(data)
      this.waiting.delete(data.id)
    }
  }

  load(positions: Float32Array, columns: FilterColumns): void {
    const copy = positions.slice()
    this.worker.postMessage({ kind: 'load', positions: copy, columns } satisfies Question, [copy.buffer])
  }
  setNext(next: Float32Array | null): void {
    this.worker.postMessage({ kind: 'next', next } satisfies Question)
  }

  /** Where the second run's rows are, and where they go at the next layer; null: there is none. */
  setOther(positions: Float32Array | null, next: Float32Array | null): void {
    this.worker.postMessage({ kind: 'other', positions, next } satisfies Question)
  }

  private ask<T>(question: Omit<Extract<Question, { id: number }>, 'id'> & Record<string, unknown>): Promise<T> {
    const id = ++this.id
    return new Promise((resolve) => {
      this.waiting.set(id, (answer) => resolve(answer as T))
      this.worker.postMessage({ ...question, id })
    })
  }

  lasso(matrix: Float32Array, width: number, height: number, polygon: Float32Array, filter: Filter, mix: number, side: number) {
    return this.ask<{ rows: Uint32Array; milliseconds: number }>({ kind: 'lasso', matrix, width, height, polygon, filter, mix, side })
  }
  nearest(row: number, k: number, dims: number, filter: Filter) {
    return this.ask<{ rows: number[]; distances: number[] }>({ kind: 'nearest', row, k, dims, filter })
  }
  stop(): void {
    this.worker.terminate()
  }
}
