import { describe, expect, it } from 'vitest'
import { Cloud, Tokens } from '../../src/data/cloud'
import type { CloudHeader, ProjectionInfo, RunInfo } from '../../src/data/types'

const tokens = new Tokens(
  { n: 6, sequence_starts: [0, 4], columns: {} },
  new Map([['token_id', Int32Array.from([7, 8, 9, 7, 7, 9])]]),
  new Map([
    [7, ' a'],
    [8, '<b>'],
    [9, 'c'],
  ]),
)

function make(header: Partial<CloudHeader>, columns: Map<string, Uint16Array>): Cloud {
  const whole: CloudHeader = {
    name: 'p',
    n: 6,
    dims: 3,
    averages: false,
    norm: { low: 1, high: 100 },
    segments: [],
    columns: {},
    ...header,
  }
  return new Cloud({} as RunInfo, 'p', {} as ProjectionInfo, whole, tokens, columns, new Map())
}

describe('Tokens', () => {
  it('knows positions and sequences from where sequences start', () => {
    expect(Array.from(tokens.position)).toEqual([0, 1, 2, 3, 0, 1])
    expect(Array.from(tokens.sequence)).toEqual([0, 0, 0, 0, 1, 1])
  })
  it('cuts a context at the ends of its sequence', () => {
    expect(tokens.around(3, 2, 5)).toEqual({ begin: 1, end: 4 })
    expect(tokens.around(4, 9, 1)).toEqual({ begin: 4, end: 6 })
  })
})

describe('Cloud', () => {
  const cloud = make(
    {
      segments: [
        ['attn_out', 0, 3, 1],
        ['attn_out', 1, 3, 1],
      ],
    },
    new Map([
      ['token', Uint16Array.from([0, 1, 2, 0, 1, 2])],
      ['norm', Uint16Array.from([0, 65534, 65535, 32767, 0, 0])],
    ]),
  )

  it('adds up the steps between tokens', () => {
    expect(Array.from(cloud.labels.token)).toEqual([1, 2, 4, 1, 2, 4])
    expect(Array.from(cloud.labels.position)).toEqual([1, 2, 0, 1, 2, 0])
  })
  it('decodes norms on their logarithmic scale', () => {
    expect(cloud.norm(0)).toBeCloseTo(1, 6)
    expect(cloud.norm(1)).toBeCloseTo(100, 6)
    expect(cloud.norm(2)).toBe(0)
    expect(cloud.norm(3)).toBeCloseTo(10, 2)
  })
  it('follows a token through the layers', () => {
    expect(cloud.find('attn_out', 1, 2)).toBe(4)
    expect(cloud.find('attn_out', 1, 3)).toBe(-1)
    expect(cloud.path(1)).toEqual([1, 4])
    expect(Array.from(cloud.nextRows())).toEqual([3, 4, 5, 3, 4, 5])
  })
  it('leaves gaps where a layer is not on the map', () => {
    // Token 2 at layers 0 and 2; of the other component nothing but layer 1.
    const torn = make(
      { n: 5, segments: [['attn_out', 0, 1, 2], ['attn_out', 1, 1, 1], ['attn_out', 2, 2, 1], ['mlp_out', 1, 1, 2]] },
      new Map([['token', Uint16Array.from([0, 0, 0, 1, 0])], ['norm', new Uint16Array(5)]]),
    )
    expect(torn.way(0)).toEqual([0, -1, 3])
    expect(torn.path(0)).toEqual([0, 3])
    expect(torn.way(4)).toEqual([4])
  })
  it('ranks tokens by how often they occur', () => {
    expect(cloud.rankedTokens.map((t) => t.id)).toEqual([7, 8, 9])
    expect(cloud.rankedTokens[0].count).toBe(2)
  })

  it('names the layers of the model, under whatever numbers a control shows them', () => {
    const control = make(
      {
        segments: [
          ['attn_out', 0, 3, 1],
          ['attn_out', 1, 3, 1],
        ],
        layer_of: [1, 0],
      },
      new Map([
        ['token', Uint16Array.from([0, 1, 2, 0, 1, 2])],
        ['norm', new Uint16Array(6)],
      ]),
    )
    expect([cloud.site(0), cloud.layerName(1)]).toEqual(['blocks.0.attn_out', 'layer 1'])
    expect([control.site(0), control.site(3)]).toEqual(['blocks.1.attn_out', 'blocks.0.attn_out'])
    expect([control.layerName(0), control.layerOf(-1)]).toEqual(['layer 0 (is 1)', -1])
    expect(control.rowAt('blocks.0.attn_out', 2)).toBe(4)
    expect(cloud.rowAt('blocks.0.attn_out', 2)).toBe(1)
    expect(control.rowsAt(0, 1)).toEqual([3])
    expect(cloud.rowsAt(0, 1)).toEqual([0])
    expect(control.path(1)).toEqual([1, 4]) // in the order shown: that is what the control is for
  })
})
