import { describe, expect, it } from 'vitest'
import { openFilter } from '../../../src/select/visible'
import { Picking, type MapSearch } from '../../../src/state/picking.svelte'
import { cloud, ScriptedSource } from './example'

const onMap: MapSearch = { nearest: async (row, k) => ({ rows: [row + 1], distances: [k] }) }
const shown = () => ({ dim: 3, filter: openFilter() })
const nearest = (row: number) => `runs/0/projections/p/nearest?row=${row}&k=10@v1`

function make(answers: Record<string, unknown>) {
  let changes = 0
  const source = new ScriptedSource(answers)
  const picking = new Picking(source, onMap, shown, () => ++changes)
  picking.open(cloud())
  return { picking, source, changes: () => changes }
}

describe('Picking', () => {
  it('asks for neighbours twice: on the map, and in the space of this very version', async () => {
    const { picking, source } = make({ [nearest(4)]: { rows: [1, 2], distances: [3, 4], n_searched: 17 } })
    await picking.pick(4)
    expect(picking.near).toEqual({ row: 4, full: { rows: [1, 2], distances: [3, 4], searched: 17 }, map: { rows: [5], distances: [10] }, error: '' })
    expect(source.asked).toEqual([nearest(4)])
    expect(picking.shared()).toEqual({ pick: 4 })
  })
  it('shows what the server could not do, and the map’s all the same', async () => {
    const { picking } = make({})
    await picking.pick(4)
    expect(picking.near?.error).toMatch(/nothing at/)
    expect(picking.near?.map?.rows).toEqual([5])
  })
  it('forgets answers that come too late', async () => {
    let answer = (_: unknown) => {}
    const { picking } = make({ [nearest(4)]: new Promise((resolve) => (answer = resolve)), [nearest(5)]: { rows: [9], distances: [1], n_searched: 1 } })
    const first = picking.pick(4)
    await picking.pick(5)
    answer({ rows: [1], distances: [1], n_searched: 1 })
    await first
    expect(picking.near?.row).toBe(5)
    const third = picking.pick(5)
    picking.clear()
    await third
    expect([picking.picked, picking.near]).toEqual([-1, null])
  })
  it('draws anew only when another point is under the pointer', () => {
    const { picking, changes } = make({})
    picking.hover(3)
    picking.hover(3)
    expect(changes()).toBe(1)
  })
  it('restores a point that there is', () => {
    const { picking } = make({})
    picking.restore({ pick: 18 })
    expect(picking.picked).toBe(-1)
    picking.restore({ pick: 17 })
    expect(picking.picked).toBe(17)
  })
})
