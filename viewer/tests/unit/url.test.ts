import { describe, expect, it } from 'vitest'
import { read, write, type Shared } from '../../src/state/url'

describe('URL state', () => {
  it('comes back as it went', () => {
    const state: Shared = {
      run: 'text',
      projection: 'attention-mlp-raw',
      axes: [2, 0, 1],
      dim: 2,
      color: 'token',
      size: 3.5,
      density: true,
      hide: { component: [1], layer: [0, 3], label: [-1], token: [], expert: [2] },
      first: false,
      layer: 4,
      paths: true,
      beside: 'runs',
      pick: 77,
      search: ' the & "whale"',
      selected: [1, 5, 9],
      other: 0.25,
      heat: 'mlp_out',
      theme: 'dark',
      pose: { dim: 2, x: 0.5, y: -0.25, z: 0, yaw: 0.6, pitch: 0.4, reach: 1.5 },
    }
    expect(read('#' + write(state))).toEqual(state)
  })

  it('leaves out what it does not understand', () => {
    const state = read('#dim=7&axes=0.-1.2&size=nan&cam=1,2&sel=1.x.3&theme=<script>&other=9')
    expect(state.dim).toBeUndefined()
    expect(state.axes).toBeUndefined()
    expect(state.size).toBeUndefined()
    expect(state.pose).toBeUndefined()
    expect(state.selected).toEqual([1, 3])
    expect(state.theme).toBeUndefined()
    expect(state.other).toBeUndefined()
  })

  it('does not carry a selection of thousands', () => {
    expect(write({ selected: Array.from({ length: 5000 }, (_, i) => i) })).not.toContain('sel=')
  })
})
