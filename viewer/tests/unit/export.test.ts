import { describe, expect, it } from 'vitest'
import { csvField } from '../../src/export/export'

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
