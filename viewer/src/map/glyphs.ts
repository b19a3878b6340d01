/** Scripts that a machine may have no font for, and where fonts with them come from, by Debian's names. */
const SCRIPTS: [name: string, fonts: string, one: RegExp][] = [
  ['Chinese and Japanese', 'fonts-noto-cjk', /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}/u],
  ['Korean', 'fonts-noto-cjk', /\p{Script=Hangul}/u],
  ['emoji', 'fonts-noto-color-emoji', /\p{Emoji_Presentation}/u],
  ['Arabic', 'fonts-noto-core', /\p{Script=Arabic}/u],
  ['Hebrew', 'fonts-noto-core', /\p{Script=Hebrew}/u],
  ['Devanagari', 'fonts-noto-core', /\p{Script=Devanagari}/u],
  ['Thai', 'fonts-noto-core', /\p{Script=Thai}/u],
]

/** Of scripts that are in these texts: those whose first character cannot be drawn, as a sentence; '': all can. */
export function missingFonts(texts: Iterable<string>, canDraw: (character: string) => boolean): string {
  const left = new Set(SCRIPTS)
  const missing: typeof SCRIPTS = []
  for (const text of texts) {
    // Most texts are of one script that needs no asking.
    if (!/[^\u0000-\u024f]/.test(text)) continue
    for (const script of left) {
      const found = script[2].exec(text)
      if (!found) continue
      left.delete(script)
      if (!canDraw(found[0])) missing.push(script)
    }
    if (!left.size) break
  }
  if (!missing.length) return ''
  const fonts = [...new Set(missing.map(([, of]) => of))]
  return `This browser has no font for ${missing.map(([name]) => name).join(', ')}: boxes stand for it. Install ${fonts.join(' and ')}, or fonts like them.`
}

/** Whether a character looks otherwise than one that no font has. */
export function drawable(): (character: string) => boolean {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 32
  const context = canvas.getContext('2d', { willReadFrequently: true })!
  const look = (character: string) => {
    context.clearRect(0, 0, 32, 32)
    context.font = '20px system-ui, sans-serif'
    context.textBaseline = 'middle'
    context.fillText(character, 4, 16)
    return context.getImageData(0, 0, 32, 32).data.join()
  }
  // No character will ever have these numbers.
  const nones = new Set(['\uffff', '\u{10ffff}', '\u{3fffe}'].map(look))
  const nothing = look('')
  return (character) => {
    const its = look(character)
    return its !== nothing && !nones.has(its)
  }
}
