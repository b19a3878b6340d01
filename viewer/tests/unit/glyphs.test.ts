import { describe, expect, it } from 'vitest'
import { missingFonts } from '../../src/map/glyphs'

describe('fonts that are missing', () => {
  const asked: string[] = []
  const only = (drawn: string) => (character: string) => (asked.push(character), drawn.includes(character))

  it('are named for the scripts that the texts hold', () => {
    expect(missingFonts([' whale', '鯨', 'クジラ', '고래', '🐋'], only(''))).toBe(
      'This browser has no font for Chinese and Japanese, Korean, emoji: boxes stand for it. Install fonts-noto-cjk and fonts-noto-color-emoji, or fonts like them.',
    )
    expect(missingFonts(['鯨', '🐋'], only('鯨'))).toMatch(/^This browser has no font for emoji: /)
  })
  it('are none where all is drawn, and one character of a script is asked', () => {
    asked.length = 0
    expect(missingFonts(['鯨', '海', '鯨鯨', 'plain', 'é'], only('鯨'))).toBe('')
    expect(asked).toEqual(['鯨'])
  })
})
