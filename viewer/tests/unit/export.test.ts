import { describe, expect, it } from 'vitest'
import { csvField, wrapped } from '../../src/export/export'

describe('csvField', () => {
  it('quotes what would break a line', () => {
    expect(csvField('a,b')).toBe('"a,b"')
    expect(csvField('say "x"')).toBe('"say ""x"""')
    expect(csvField(' the')).toBe('" the"')
    expect(csvField('\n')).toBe('"\n"')
  })
  it('keeps a token from being read as a formula', () => {
    expect(csvField('=1+1')).toBe("'=1+1")
    expect(csvField('@SUM(A1)')).toBe("'@SUM(A1)")
  })
  it('leaves numbers alone', () => {
    expect(csvField(-1.5)).toBe('-1.5')
    expect(csvField(null)).toBe('')
  })
})

describe('a caption', () => {
  it('is broken between words, and loses none', () => {
    const text = 'SmolLM2 · attention-mlp-unit · PCA, 34.2 % of the variance · 20,000 of 20,000 points'
    const lines = wrapped(text, 30, (line) => line.length)
    expect(lines.length).toBeGreaterThan(2)
    expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(30)
    expect(lines.join(' ')).toBe(text)
    expect(wrapped('averyverylongword b', 5, (line) => line.length)).toEqual(['averyverylongword', 'b'])
  })
})
