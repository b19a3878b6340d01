import { Matrix4, OrthographicCamera, PerspectiveCamera, Vector3 } from 'three'

/** Numbers that say where one looks from; what the URL keeps. */
export interface Pose {
  dim: 2 | 3
  x: number
  y: number
  z: number
  /** 3-D: radians. */
  yaw: number
  pitch: number
  /** World units across half the height of the picture. */
  reach: number
}

export const restPose = (dim: 2 | 3): Pose => ({ dim, x: 0, y: 0, z: 0, yaw: 0.6, pitch: 0.42, reach: 1.15 })

/** Share of the picture that a fitted cloud takes, and of its points that lie inside at least: a few are far out. */
const FILLED = 0.94
const INSIDE = 0.997
/** All are inside if that makes the rest no smaller than this. */
const SHRUNK = 1.35

/** Pixels at the picture's sides that a fitted cloud leaves free. */
export interface Inset {
  top: number
  right: number
  bottom: number
  left: number
}

const FIELD = (38 * Math.PI) / 180

/** One pose, two lenses: orthographic in 2-D, perspective in 3-D. */
export class MapCamera {
  pose: Pose = restPose(3)
  width = 1
  height = 1
  private readonly flat = new OrthographicCamera()
  private readonly deep = new PerspectiveCamera((FIELD * 180) / Math.PI)

  get distance(): number {
    return this.pose.reach / Math.tan(FIELD / 2)
  }

  camera(): OrthographicCamera | PerspectiveCamera {
    const { pose } = this
    const aspect = this.width / Math.max(1, this.height)
    if (pose.dim === 2) {
      const c = this.flat
      c.left = -pose.reach * aspect
      c.right = pose.reach * aspect
      c.top = pose.reach
      c.bottom = -pose.reach
      c.near = 0
      c.far = 2e4
      c.position.set(pose.x, pose.y, 1e4)
      c.up.set(0, 1, 0)
      c.lookAt(pose.x, pose.y, 0)
      c.updateProjectionMatrix()
      c.updateMatrixWorld()
      return c
    }
    const c = this.deep
    c.aspect = aspect
    c.near = this.distance * 0.01
    c.far = this.distance * 20 + 20
    const away = this.outward()
    c.position.set(pose.x, pose.y, pose.z).addScaledVector(away, this.distance)
    c.up.set(0, 1, 0)
    c.lookAt(pose.x, pose.y, pose.z)
    c.updateProjectionMatrix()
    c.updateMatrixWorld()
    return c
  }

  private outward(): Vector3 {
    const { yaw, pitch } = this.pose
    return new Vector3(Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch))
  }

  /** World to clip space, column-major. */
  matrix(): Float32Array {
    const c = this.camera()
    return new Float32Array(new Matrix4().multiplyMatrices(c.projectionMatrix, c.matrixWorldInverse).elements)
  }

  /** Where the three axes point on the screen, x right and y up, of length at most 1. */
  directions(): [number, number][] {
    const e = this.camera().matrixWorldInverse.elements
    return [0, 1, 2].map((k) => [e[4 * k], e[4 * k + 1]])
  }

  orbit(dx: number, dy: number): void {
    const { pose } = this
    pose.yaw -= (dx / this.height) * Math.PI
    pose.pitch = Math.min(1.55, Math.max(-1.55, pose.pitch + (dy / this.height) * Math.PI))
  }

  pan(dx: number, dy: number): void {
    const { pose } = this
    const unit = (2 * pose.reach) / this.height
    if (pose.dim === 2) {
      pose.x -= dx * unit
      pose.y += dy * unit
      return
    }
    const away = this.outward()
    const right = new Vector3(0, 1, 0).cross(away).normalize()
    const up = away.clone().cross(right)
    const move = right.multiplyScalar(-dx * unit).addScaledVector(up, dy * unit)
    pose.x += move.x
    pose.y += move.y
    pose.z += move.z
  }

  /** From the same side, so near that the points at these rows just fit. Returns how many of them do not. */
  fit(positions: ArrayLike<number>, rows: ArrayLike<number>, inset: Inset = { top: 0, right: 0, bottom: 0, left: 0 }): number {
    const { pose } = this
    const away = pose.dim === 3 ? this.outward() : new Vector3(0, 0, 1)
    const right = new Vector3(0, 1, 0).cross(away).normalize()
    const up = away.clone().cross(right)
    const along = (axis: Vector3) => {
      const out = new Float32Array(rows.length)
      for (let i = 0; i < rows.length; ++i) {
        const r = 3 * rows[i]
        out[i] = axis.x * positions[r] + axis.y * positions[r + 1] + axis.z * positions[r + 2]
      }
      return out
    }
    const sorted = (values: Float32Array) => Float32Array.from(values).sort()
    const quantile = (of: Float32Array, q: number) => of[Math.round(q * (of.length - 1))]
    const middle = (values: Float32Array) => {
      const of = sorted(values)
      const [low, high] = [quantile(of, 1 - INSIDE), quantile(of, INSIDE)]
      const all = of[of.length - 1] - of[0] <= SHRUNK * (high - low)
      return all ? (of[0] + of[of.length - 1]) / 2 : (low + high) / 2
    }
    const [x, y, z] = [right, up, away].map(along)
    const [mx, my, mz] = [x, y, z].map(middle)
    const free = (from: number, to: number, size: number) => Math.max(0.2 * size, size - from - to) / Math.max(1, this.height)
    const wide = free(inset.left, inset.right, this.width)
    const high = free(inset.top, inset.bottom, this.height)
    // A point nearer by dz looks larger: |y| / (reach - dz tan) has to stay below FILLED.
    const deep = pose.dim === 3 ? Math.tan(FIELD / 2) : 0
    const reach = Float32Array.from(x, (_, i) => Math.max(Math.abs(x[i] - mx) / wide, Math.abs(y[i] - my) / high) / FILLED + (z[i] - mz) * deep)
    const of = sorted(reach)
    const most = of[of.length - 1]
    const enough = quantile(of, INSIDE)
    pose.reach = Math.max(1e-3, most <= SHRUNK * enough ? most : enough)
    // What is free has its middle elsewhere than the picture.
    const unit = (2 * pose.reach) / Math.max(1, this.height)
    const center = right.multiplyScalar(mx + ((inset.right - inset.left) / 2) * unit).addScaledVector(up, my - ((inset.bottom - inset.top) / 2) * unit).addScaledVector(away, mz)
    pose.x = center.x
    pose.y = center.y
    pose.z = center.z
    return of.filter((r) => r > pose.reach * 1.0001).length
  }

  /** factor < 1 comes nearer; in 2-D the place under (px, py) stays. */
  zoom(factor: number, px: number, py: number): void {
    const { pose } = this
    const before = pose.reach
    pose.reach = Math.min(50, Math.max(1e-4, pose.reach * factor))
    if (pose.dim === 2) {
      const change = (2 * (before - pose.reach)) / this.height
      pose.x += (px - this.width / 2) * change
      pose.y -= (py - this.height / 2) * change
    }
  }
}

/** Pixel of a place; null behind the camera. */
export function project(
  matrix: ArrayLike<number>,
  x: number,
  y: number,
  z: number,
  width: number,
  height: number,
): [number, number] | null {
  const w = matrix[3] * x + matrix[7] * y + matrix[11] * z + matrix[15]
  if (!(w > 0)) return null
  const cx = matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12]
  const cy = matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13]
  return [(cx / w + 1) * 0.5 * width, (1 - cy / w) * 0.5 * height]
}
