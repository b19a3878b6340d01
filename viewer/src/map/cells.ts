/** A layer's own part of the canvas, in pixels from its top left. */
export interface Cell {
  layer: number
  x: number
  y: number
  width: number
  height: number
}

/** Parts of a picture for so many layers, as square as they get. */
export function layOut(layers: number[], width: number, height: number): Cell[] {
  let columns = 1
  let best = 0
  for (let c = 1; c <= layers.length; ++c) {
    const size = Math.min(width / c, height / Math.ceil(layers.length / c))
    if (size > best) {
      best = size
      columns = c
    }
  }
  const rows = Math.ceil(layers.length / columns)
  const [w, h] = [Math.floor(width / columns), Math.floor(height / rows)]
  return layers.map((layer, i) => ({ layer, x: (i % columns) * w, y: Math.floor(i / columns) * h, width: w, height: h }))
}
