import { describe, expect, it } from 'vitest'
import { Jobs } from '../../../src/state/jobs.svelte'
import { ScriptedSource } from './example'

function make(...states: Record<string, unknown>[]) {
  const seen: unknown[] = []
  const source = new ScriptedSource({
    'jobs/1': () => {
      const next = states.shift()
      if (!next) throw new Error('the server does not answer')
      return next
    },
  })
  const jobs: Jobs = new Jobs(source, async () => void seen.push(jobs.job?.task))
  return { jobs, source, seen }
}

describe('Jobs', () => {
  it('watches a projection until it is made', async () => {
    const { jobs, source, seen } = make({ state: 'running', task: 'selecting' }, { state: 'running', task: 'layout' }, { state: 'done', name: 'map' })
    expect(await jobs.make({ name: 'map' })).toBe('map')
    expect(seen).toEqual(['selecting', 'layout'])
    expect(source.asked[0]).toBe('POST jobs {"name":"map"}')
    expect(jobs.job).toBeNull()
  })
  it('tells a failure from a cancellation', async () => {
    expect(await make({ state: 'cancelled' }).jobs.make({})).toBeNull()
    await expect(make({ state: 'failed', error: 'not enough memory' }).jobs.make({})).rejects.toThrow('not enough memory')
  })
  it('is over when the server is gone', async () => {
    const { jobs } = make({ state: 'running', task: 'layout' })
    await expect(jobs.make({})).rejects.toThrow('does not answer')
    expect(jobs.job).toBeNull()
  })
  it('cancels what runs, and nothing else', async () => {
    const { jobs, source } = make()
    await jobs.cancel()
    expect(source.asked).toEqual([])
    jobs.job = { id: 1 } as never
    await jobs.cancel()
    expect(source.asked).toEqual(['DELETE jobs/1 undefined'])
  })
})
