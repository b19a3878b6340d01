import type { Source } from '../data/source'
import type { Job } from '../data/types'

/** A projection that the server is making for this page. */
export class Jobs {
  job = $state.raw<Job | null>(null)

  constructor(
    private readonly source: Source,
    private readonly wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds)),
  ) {}

  /** Its name once it is made; null when it was cancelled. */
  async make(request: Record<string, unknown>): Promise<string | null> {
    const { id } = await this.source.send<{ id: number }>('POST', 'jobs', request)
    try {
      for (;;) {
        const job = await this.source.json<Job>(`jobs/${id}`)
        if (job.state === 'done') return job.name
        if (job.state === 'cancelled') return null
        if (job.state === 'failed') throw new Error(job.error ?? 'the projection failed')
        this.job = job
        await this.wait(250)
      }
    } finally {
      this.job = null
    }
  }

  async cancel(): Promise<void> {
    if (this.job) await this.source.send('DELETE', `jobs/${this.job.id}`)
  }
}
