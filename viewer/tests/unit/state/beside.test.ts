import { describe, expect, it } from 'vitest'
import { Beside, MOST_BESIDE } from '../../../src/state/beside.svelte'
import { cloud } from './example'

describe('Beside', () => {
  it('gives each layer a picture, evenly some of many', () => {
    const beside = new Beside()
    beside.open(cloud(), { beside: 'layers' })
    expect(beside.parts(cloud(), false)).toEqual([0, 1, 2].map((layer) => ({ layer, side: 0 })))
    const deep = cloud({ segments: Array.from({ length: 100 }, (_, layer) => ['attn_out', layer, layer < 18 ? 1 : 0, 0]) })
    const parts = beside.parts(deep, false)
    expect(parts).toHaveLength(MOST_BESIDE)
    expect([parts[0].layer, parts.at(-1)!.layer]).toEqual([0, 99])
  })
  it('gives each run a picture, once there is a second one', () => {
    const beside = new Beside()
    beside.open(cloud(), { beside: 'runs' })
    expect(beside.parts(cloud(), false)).toEqual([])
    expect(beside.parts(cloud(), true)).toEqual([{ layer: -1, side: 0 }, { layer: -1, side: 1 }])
    beside.open(cloud(), {})
    expect(beside.shared()).toEqual({ beside: 'runs' })
    beside.open(cloud(), { beside: '' })
    expect(beside.runs).toBe(false)
  })
  it('has no layers side by side of a map of one', () => {
    const beside = new Beside()
    beside.open(cloud({ segments: [['attn_out', 0, 18, 0]] }), { beside: 'layers' })
    expect(beside.layers).toBe(false)
    beside.mode = 'layers'
    beside.open(cloud(), {})
    expect(beside.layers).toBe(false) // another map
  })
})
