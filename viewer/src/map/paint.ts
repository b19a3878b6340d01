import type { Overlay } from './overlay'

const font = (size: number, strong = false) => `${strong ? '600 ' : ''}${size}px system-ui, sans-serif`

export function paintOverlay(context: CanvasRenderingContext2D, what: Overlay, paper: string, ink: string): void {
  context.save() // what is drawn after has its own fonts and alignment
  context.lineJoin = context.lineCap = 'round'
  for (const stroke of what.strokes) {
    context.globalAlpha = stroke.alpha
    context.lineWidth = stroke.width
    context.beginPath()
    stroke.points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)))
    if (stroke.bright) {
      context.strokeStyle = paper
      context.lineWidth = stroke.width + 2.5
      context.stroke()
      context.lineWidth = stroke.width
    }
    context.strokeStyle = stroke.color
    context.setLineDash(stroke.dashed ? [7, 5] : [])
    context.stroke()
    context.setLineDash([])
    context.globalAlpha = 1
    if (stroke.dots) {
      context.font = font(11)
      context.textAlign = 'center'
      context.textBaseline = 'middle'
      const step = Math.max(1, Math.ceil(stroke.dots.length / 16))
      stroke.dots.forEach(({ at: [x, y], text }, i) => {
        const labelled = i % step === 0 || i === stroke.dots!.length - 1
        context.fillStyle = stroke.color
        context.beginPath()
        context.arc(x, y, labelled ? 8 : 3.5, 0, 7)
        context.fill()
        context.fillStyle = paper
        if (labelled) context.fillText(text, x, y + 0.5)
      })
    }
  }
  context.font = font(11)
  context.textAlign = 'center'
  context.textBaseline = 'middle'
  context.strokeStyle = context.fillStyle = ink
  context.lineWidth = 1.2
  for (const { from, to, text } of what.axes) {
    context.globalAlpha = 0.65
    context.beginPath()
    context.moveTo(...from)
    context.lineTo(...to)
    context.stroke()
    const length = Math.hypot(to[0] - from[0], to[1] - from[1])
    const push = (length + 11) / Math.max(length, 1e-6)
    if (length > 6) context.fillText(text, from[0] + (to[0] - from[0]) * push, from[1] + (to[1] - from[1]) * push)
  }
  context.globalAlpha = 1
  for (const mark of what.marks) {
    context.strokeStyle = mark.color
    context.lineWidth = 2
    context.beginPath()
    context.arc(mark.at[0], mark.at[1], mark.radius, 0, 7)
    if (mark.filled) {
      context.fillStyle = mark.color
      context.strokeStyle = paper
      context.lineWidth = 1.5
      context.fill()
    }
    context.stroke()
  }
  // A rim of paper keeps words readable on points of any colour.
  const write = (text: string, x: number, y: number, color = ink) => {
    context.strokeStyle = paper
    context.lineWidth = 3.5
    context.globalAlpha = 0.85
    context.strokeText(text, x, y)
    context.globalAlpha = 1
    context.fillStyle = color
    context.fillText(text, x, y)
  }
  for (const label of what.labels) {
    context.font = font(label.size, label.strong)
    write(label.text, ...label.at, label.color)
    if (!label.below) continue
    context.font = font(label.size - 1)
    write(label.below, label.at[0], label.at[1] + 1.25 * label.size)
  }
  if (what.scale) {
    const { at: [x, y], pixels, text } = what.scale
    context.strokeStyle = context.fillStyle = ink
    context.lineWidth = 1.5
    context.beginPath()
    for (const [fx, fy] of [[x, y - 4], [x, y], [x + pixels, y], [x + pixels, y - 4]]) context.lineTo(fx, fy)
    context.stroke()
    context.font = font(11)
    context.textAlign = 'left'
    write(text, x + pixels + 6, y - 2)
  }
  context.restore()
}
