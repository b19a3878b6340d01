/** What has a picture of its own among several: a layer of the first run, or (layer -1) all that is shown of a run. */
export interface Part {
  layer: number
  /** 0: the first run, 1: the second. */
  side: number
}
/** A part of the canvas, in pixels from its top left. */
export interface Cell extends Part {
  x: number
  y: number
  width: number
  height: number
}

/** Places on the canvas for so many pictures, as square as they get. */
export function layOut(parts: Part[], width: number, height: number): Cell[] {
  let columns = 1
  let best = 0
  for (let c = 1; c <= parts.length; ++c) {
    const size = Math.min(width / c, height / Math.ceil(parts.length / c))
    if (size > best) {
      best = size
      columns = c
    }
  }
  const rows = Math.ceil(parts.length / columns)
  const [w, h] = [Math.floor(width / columns), Math.floor(height / rows)]
  return parts.map((part, i) => ({ ...part, x: (i % columns) * w, y: Math.floor(i / columns) * h, width: w, height: h }))
}
