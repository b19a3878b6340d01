/** Counts what goes to the card, so that a test can say "recolouring uploads nothing". */
export interface Uploads {
  vertexBytes: number
}

export function countUploads(gl: WebGL2RenderingContext): Uploads {
  const uploads: Uploads = { vertexBytes: 0 }
  const size = (data: unknown): number =>
    typeof data === 'number' ? data : ArrayBuffer.isView(data) || data instanceof ArrayBuffer ? data.byteLength : 0
  const { bufferData, bufferSubData } = gl
  gl.bufferData = function (this: WebGL2RenderingContext, ...args: unknown[]) {
    uploads.vertexBytes += size(args[1])
    return (bufferData as (...a: unknown[]) => void).apply(this, args)
  } as typeof gl.bufferData
  gl.bufferSubData = function (this: WebGL2RenderingContext, ...args: unknown[]) {
    uploads.vertexBytes += size(args[2])
    return (bufferSubData as (...a: unknown[]) => void).apply(this, args)
  } as typeof gl.bufferSubData
  return uploads
}
