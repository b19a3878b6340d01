const count = new Intl.NumberFormat('en')
export const grouped = (n: number) => count.format(n)

/** Four digits at most, for people. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) return value.toExponential(2)
  return String(+value.toPrecision(4))
}

/** A token for eyes: spaces and line breaks have a sign. */
export const seen = (piece: string) => piece.replaceAll(' ', '·').replaceAll('\\n', '⏎').replaceAll('\n', '⏎').replaceAll('\t', '⇥')

/** A verdict of `tomograph measure`, whichever words it has. */
export const verdictWords = (verdict: string) => verdict.replaceAll('_', ' ')
export const holds = (verdict: string) => verdict.startsWith('holds')

/** Numbers of a half-open range as the command line has it: "2:9", "1:", ":", "3", "-4:" from the end. */
export function inRange(range: string, value: number, length: number): boolean {
  const [from, to] = range.split(':')
  const at = (text: string, none: number) => (text === '' ? none : Number(text) < 0 ? length + Number(text) : Number(text))
  return to === undefined ? value === at(from, 0) : value >= at(from, 0) && value < at(to, length)
}
