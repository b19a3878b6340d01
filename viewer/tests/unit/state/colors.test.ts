import { describe, expect, it } from 'vitest'
import { colorable, Colors } from '../../../src/state/colors.svelte'
import { cloud, run, withoutIds } from './example'

function make(header = {}) {
  const hiding = { showFirst: true }
  let changes = 0
  const colors = new Colors(hiding, () => ++changes)
  colors.open(cloud(header), run, {})
  return { colors, hiding, changes: () => changes }
}

describe('Colors', () => {
  it('offers what the cloud has', () => {
    expect(colorable(cloud(), run)).toEqual(['component', 'layer', 'position', 'from_end', 'norm', 'token', 'label', 'sequence'])
  })
  it('colours tokens without ids by their text', () => {
    const c = cloud({}, {}, withoutIds)
    const { colors } = make()
    colors.open(c, run, { color: 'token' })
    expect(colors.coloring).toBe('token')
    expect(colors.legend().map((e) => [e.text, e.count])).toEqual([['c', 6], ['·a', 6], ['b', 3], ['none', 3]])
    expect([0, 3].map((token) => c.tokens.id(token))).toEqual([-1, -1])
  })
  it('opens by what differs, and stays with what was chosen', () => {
    const { colors } = make()
    expect(colors.coloring).toBe('layer') // one component
    colors.color('norm')
    colors.open(cloud(), run, {})
    expect(colors.coloring).toBe('norm')
    colors.close() // another run
    colors.open(cloud(), run, {})
    expect(colors.coloring).toBe('layer')
    colors.open(cloud(), run, { color: 'token' })
    expect(colors.coloring).toBe('token')
    colors.open(cloud(), run, { color: 'expert' })
    expect(colors.coloring).toBe('token')
  })
  it('gives a row the colour that the palette has for it', () => {
    const { colors } = make()
    for (const by of colorable(cloud(), run)) {
      colors.color(by)
      const palette = colors.palette()
      const known = new Set(Array.from({ length: 1024 }, (_, i) => `rgb(${palette.slice(4 * i, 4 * i + 3).join(', ')})`))
      const rows = [0, 3, 7, 17]
      expect(colors.rowColors(rows)).toEqual(rows.map((row) => colors.rowColor(row)))
      for (const row of rows) expect(known, by).toContain(colors.rowColor(row))
    }
  })
  it('lists entries that add up to the cloud', () => {
    const { colors } = make()
    for (const [by, names] of Object.entries({
      component: ['attn_out'],
      layer: ['layer 0', 'layer 1', 'layer 2'],
      label: ['no label', 'question', 'answer'],
      token: ['·a', 'c', 'b'],
    })) {
      colors.color(by as 'layer')
      const legend = colors.legend()
      expect(legend.map((e) => e.text)).toEqual(names)
      expect(legend.reduce((sum, e) => sum + e.count, 0)).toBe(18)
      expect(legend.map((e) => e.color)).toEqual([...new Set(legend.map((e) => e.color))])
    }
  })
  it('counts positions from the end of each sequence', () => {
    const long = { ...run, length: 4 }
    const { colors } = make()
    const c = cloud()
    expect([0, 1, 2, 3, 4, 5].map((row) => c.fromEnd(row))).toEqual([-4, -3, -2, -1, -2, -1])
    expect(colorable(c, long)).toContain('from_end')
    expect(colorable(c, { ...run, length: 1 })).not.toContain('from_end')
    colors.color('from_end')
    expect([colors.gradient()!.low, colors.gradient()!.high]).toEqual(['-4', '-1'])
    expect(colors.rowColor(3)).toBe(colors.rowColor(5))
    expect(colors.rowColor(0)).not.toBe(colors.rowColor(4))
  })
  it('shows further columns and scores of the run’s tokens', () => {
    const talk = { ...run, columns: [{ name: 'role', words: ['user', 'assistant'] }, { name: 'turn' }], scores: ['rank'] }
    const { colors } = make()
    colors.open(cloud(), talk, {})
    expect(colorable(cloud(), talk).slice(-3)).toEqual(['column.role', 'column.turn', 'score.rank'])
    expect(colors.more()).toBeNull()
    colors.color('column.role')
    expect(colors.key().map((e) => [e.text, e.count])).toEqual([['none', 3], ['user', 9], ['assistant', 6]])
    expect(colors.more()).toEqual({ codes: Uint16Array.from([1, 1, 2, 2, 0, 1, 1, 1, 2, 2, 0, 1, 1, 1, 2, 2, 0, 1]), category: true })
    expect(colors.gradient()).toBeNull()
    colors.color('column.turn')
    expect(colors.gradient()).toMatchObject({ low: '0', high: '2' })
    expect(colors.more()!.codes.slice(0, 6)).toEqual(Uint16Array.from([0, 0, 32768, 32768, 0, 65535]))
    colors.color('score.rank')
    expect(colors.gradient()).toMatchObject({ low: '1', high: '100', scale: 'logarithmic' })
    expect([...colors.more()!.codes.slice(0, 4)]).toEqual([0, 0, 32768, 65535])
    for (const row of [0, 4, 7, 17]) expect(colors.rowColors([row])).toEqual([colors.rowColor(row)])
  })
  it('says which layer a control’s number stands for', () => {
    const { colors } = make({ layer_of: [2, 0, 1] })
    expect(colors.legend().map((e) => e.text)).toEqual(['layer 0 (is 2)', 'layer 1 (is 0)', 'layer 2 (is 1)'])
  })
  it('leaves first tokens out of the range where they are hidden', () => {
    const { colors, hiding } = make()
    expect(colors.range('norm')).toEqual([0, 17_000])
    expect(colors.range('position')).toEqual([0, 3])
    hiding.showFirst = false
    expect(colors.range('norm')).toEqual([1000, 17_000])
    expect(colors.range('position')).toEqual([1, 3])
    colors.color('norm')
    expect(colors.gradient()?.scale).toBe('logarithmic')
    expect(Number(colors.gradient()!.low)).toBeGreaterThan(1)
  })
  it('changes with the theme', () => {
    const { colors } = make()
    const light = colors.palette()
    colors.theme = 'dark'
    expect(colors.palette()).not.toEqual(light)
    expect(colors.shared()).toEqual({ color: 'layer', theme: 'dark' })
  })
  it('says nothing before there is a cloud', () => {
    let changes = 0
    const colors = new Colors({ showFirst: true }, () => ++changes)
    colors.applyColors()
    expect([colors.legend(), colors.gradient(), changes]).toEqual([[], null, 0])
  })
})
