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
