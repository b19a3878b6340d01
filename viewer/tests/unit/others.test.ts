import { describe, expect, it } from 'vitest'
import { layerWords, mapOf, othersName, othersOf, rowsInWords } from '../../src/data/others'
import { Places } from '../../src/state/places'
import { cloud } from './state/example'

describe('other rows on a map’s axes', () => {
  it('have a name that says whose axes and which rows', () => {
    const name = othersName('stream', ['attn_out', 'mlp_out'], '2:5')
    expect(name).toBe('stream@attn_out,mlp_out@2:5')
    expect(mapOf(name)).toBe('stream')
    expect(mapOf('stream')).toBe('stream')
    expect(othersOf(name)).toEqual({ components: ['attn_out', 'mlp_out'], layers: '2:5' })
    expect(othersOf('stream')).toBeNull()
  })
  it('are told in words', () => {
    expect(['3', '3:4', '0:', ':', '2:', '0:30'].map(layerWords)).toEqual(['layer 3', 'layer 3', 'all layers', 'all layers', 'layers from 2', 'layers 0 to 29'])
    expect(rowsInWords({ components: ['mlp_out'], layers: '5' })).toBe('mlp_out of layer 5')
  })
  it('lie in the world of the map whose axes they are on', () => {
    const map = cloud()
    const own = new Places()
    own.open(map, [0, 1, 2])
    const far = cloud()
    ;[0, 1, 2].forEach((k) => far.addAxis(k, Float32Array.from({ length: far.n }, (_, i) => 100 + k + i)))
    const there = new Places()
    there.open(far, [0, 1, 2], map)
    expect(there.scale).toBe(own.scale)
    expect(there.positions[0]).toBeCloseTo(own.positions[0] + 100 / own.scale, 4)
  })
})
