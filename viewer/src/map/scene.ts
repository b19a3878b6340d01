import {
  AdditiveBlending,
  BufferAttribute,
  BufferGeometry,
  Color,
  CustomBlending,
  DataTexture,
  GLSL3,
  IntType,
  NearestFilter,
  NormalBlending,
  OneFactor,
  Points,
  RawShaderMaterial,
  RedFormat,
  RGBAFormat,
  RGBAIntegerFormat,
  Scene as ThreeScene,
  UnsignedByteType,
  UnsignedIntType,
  WebGLRenderer,
  WebGLRenderTarget,
  type Blending,
} from 'three'
import type { Cloud } from '../data/cloud'
import type { Rgb } from '../color/palette'
import type { Filter } from '../select/visible'
import { MapCamera } from './camera'
import { layOut, type Cell, type Part } from './cells'
import {
  colorings,
  densityFragmentShader,
  fragmentShader,
  pickFragmentShader,
  vertexShader,
  type Coloring,
} from './shaders'
import { Density } from './density'
import { MOST_EXACT, Tiles, type InView } from './tiles'
import { countUploads, type Uploads } from './uploads'

const PICK = 11 // pixels across

export class NoWebGL extends Error {}

/** The cloud on the card: one geometry, one draw; or a draw a layer or a run, side by side. */
export class MapScene {
  readonly renderer: WebGLRenderer
  readonly camera = new MapCamera()
  readonly uploads: Uploads
  readonly canDensity: boolean
  density = false
  ghosts = false
  private readonly scene = new ThreeScene()
  private readonly palette = new DataTexture(new Uint8Array(1024 * 4), 1024, 1, RGBAFormat, UnsignedByteType)
  private readonly mask = new DataTexture(new Uint8Array(256 * 5).fill(255), 256, 5, RedFormat, UnsignedByteType)
  private readonly uniforms = {
    uSize: { value: 4 },
    uDistance: { value: 0 },
    uMix: { value: 0 },
    uOther: { value: 0 },
    uBy: { value: 0 },
    uRange: { value: [0, 1] },
    uOnlyLayer: { value: 0 },
    uHideFirst: { value: false },
    uDim: { value: false },
    uGhost: { value: false },
    uMarked: { value: false },
    uPalette: { value: this.palette },
    uMask: { value: this.mask },
    uPaper: { value: new Color(1, 1, 1) },
    uInk: { value: new Color(0, 0, 0) },
    uAlpha: { value: 1 },
  }
  private readonly drawing: RawShaderMaterial
  private readonly picking: RawShaderMaterial
  private readonly adding: RawShaderMaterial
  private readonly summed: Density
  private readonly pickTarget: WebGLRenderTarget
  /** Of a large cloud: where its points lie, once it is seen flat. */
  private tiles: Tiles | null = null
  private tiled: BufferAttribute | null = null
  /** A density is shown in place of points, since too many lie in view. */
  aggregated = false
  private points: Points<BufferGeometry, RawShaderMaterial> | null = null
  private lost = false
  /** Layers or runs that have a part of the canvas each; empty: one picture. */
  cells: Cell[] = []
  width = 1
  height = 1
  private beside: Part[] = []
  private bottom = 0
  /** Rows of each layer: [from, number]. */
  private ranges = new Map<number, [number, number][]>()
  private onlyLayer = -1
  private otherNext: BufferAttribute | null = null
  /** The first run's places, while the second's stand in for them. */
  private first: Record<'position' | 'next', BufferAttribute> | null = null

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly onRestored: () => void,
  ) {
    // Points smooth their own edges; multisampling would cost four times the memory for nothing.
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: false, preserveDrawingBuffer: false })
    if (!gl) throw new NoWebGL('this browser gives no WebGL 2')
    this.uploads = countUploads(gl)
    this.renderer = new WebGLRenderer({ canvas, context: gl })
    this.renderer.autoClear = false
    // Colours are written as they are read: sRGB numbers, no light to add up.
    this.renderer.outputColorSpace = 'srgb-linear'
    this.canDensity = gl.getExtension('EXT_color_buffer_float') !== null && gl.getExtension('EXT_float_blend') !== null
    for (const texture of [this.palette, this.mask]) {
      texture.magFilter = texture.minFilter = NearestFilter
      texture.generateMipmaps = false
      texture.unpackAlignment = 1
      texture.needsUpdate = true
    }
    const material = (fragment: string, blending: Blending, depth: boolean) =>
      new RawShaderMaterial({
        glslVersion: GLSL3,
        uniforms: this.uniforms,
        vertexShader,
        fragmentShader: fragment,
        transparent: true,
        blending,
        depthTest: depth,
        depthWrite: depth,
      })
    this.drawing = material(fragmentShader, NormalBlending, true)
    this.picking = material(pickFragmentShader, NormalBlending, true)
    this.picking.transparent = false
    this.picking.blending = 0 as Blending
    this.adding = material(densityFragmentShader, AdditiveBlending, false)
    this.adding.blending = CustomBlending
    this.adding.blendSrc = this.adding.blendDst = OneFactor
    this.adding.blendSrcAlpha = this.adding.blendDstAlpha = OneFactor
    this.pickTarget = new WebGLRenderTarget(PICK, PICK, {
      format: RGBAIntegerFormat,
      type: UnsignedIntType,
      internalFormat: 'RGBA32UI',
      minFilter: NearestFilter,
      magFilter: NearestFilter,
      generateMipmaps: false,
    })
    this.summed = new Density(this.renderer, this.uniforms.uPaper, this.canDensity)
    canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault()
      this.lost = true
    })
    canvas.addEventListener('webglcontextrestored', () => {
      this.lost = false
      this.palette.needsUpdate = this.mask.needsUpdate = true
      this.onRestored()
    })
  }

  get contextLost(): boolean {
    return this.lost
  }

  setCloud(cloud: Cloud, positions: Float32Array): void {
    this.clearCloud()
    const { labels } = cloud
    const n = cloud.n
    const packed = new Uint16Array(4 * n)
    const names = new Uint16Array(2 * n)
    for (let i = 0; i < n; ++i) {
      packed[4 * i] = labels.component[i] | ((Math.min(labels.layer[i], 254) + 1) << 8)
      packed[4 * i + 1] = labels.position[i] < 0 ? 65535 : Math.min(labels.position[i], 65535)
      packed[4 * i + 2] = labels.label[i] + 1
      packed[4 * i + 3] = cloud.normCode[i]
      names[2 * i] = cloud.tokenRank[i]
      names[2 * i + 1] = (labels.sequence[i] & 255) | (Math.min(labels.expert[i] + 1, 255) << 8)
    }
    this.ranges.clear()
    let from = 0
    for (const [, layer, count] of cloud.header.segments) {
      const list = this.ranges.get(layer) ?? []
      list.push([from, count])
      this.ranges.set(layer, list)
      from += count
    }
    const geometry = new BufferGeometry()
    const place = new BufferAttribute(positions, 3)
    const integer = (array: Uint16Array | Uint8Array, size: number) => {
      const attribute = new BufferAttribute(array, size)
      attribute.gpuType = IntType
      return attribute
    }
    geometry.setAttribute('position', place)
    // The same buffer until there is somewhere to go.
    geometry.setAttribute('next', place)
    geometry.setAttribute('other', place)
    geometry.setAttribute('labels', integer(packed, 4))
    geometry.setAttribute('names', integer(names, 2))
    geometry.setAttribute('more', integer(new Uint16Array(n), 1))
    geometry.setAttribute('state', integer(new Uint8Array(n), 1))
    geometry.setDrawRange(0, n)
    this.points = new Points(geometry, this.drawing)
    this.points.frustumCulled = false
    this.scene.add(this.points)
  }

  clearCloud(): void {
    if (!this.points) return
    this.scene.remove(this.points)
    this.points.geometry.dispose()
    this.points = null
    this.otherNext = null
    this.tiles = this.tiled = null
  }

  private setPlaces(name: 'next' | 'other', places: Float32Array | null): void {
    const geometry = this.points?.geometry
    if (!geometry) return
    geometry.setAttribute(name, places ? new BufferAttribute(places, 3) : geometry.getAttribute('position'))
  }
  /** Where the second run's points go at the next layer; null: they stay. */
  setOtherNext(places: Float32Array | null): void {
    this.otherNext = places && new BufferAttribute(places, 3)
  }
  setNext(places: Float32Array | null): void {
    this.setPlaces('next', places)
  }
  setOther(places: Float32Array | null): void {
    this.setPlaces('other', places)
  }

  /** One byte a point: 1 selected, 2 found. */
  setState(state: Uint8Array, any: boolean): void {
    const attribute = this.points?.geometry.getAttribute('state') as BufferAttribute | undefined
    if (!attribute) return
    ;(attribute.array as Uint8Array).set(state)
    attribute.needsUpdate = true
    this.uniforms.uDim.value = any
  }

  /** `more`: what a point's further column holds, where that is what it is coloured by. */
  setColors(by: Coloring, colors: Uint8Array, range: [number, number], more: { codes: Uint16Array; category: boolean } | null): void {
    this.palette.image.data!.set(colors)
    this.palette.needsUpdate = true
    const attribute = this.points?.geometry.getAttribute('more') as BufferAttribute | undefined
    if (more && attribute) {
      ;(attribute.array as Uint16Array).set(more.codes)
      attribute.needsUpdate = true
    }
    this.uniforms.uBy.value = more ? colorings.length + (more.category ? 0 : 1) : (colorings as readonly string[]).indexOf(by)
    this.uniforms.uRange.value = more ? [0, 65535] : range
  }

  setFilter(filter: Filter): void {
    const data = this.mask.image.data!
    data.set(filter.component, 0)
    data.set(filter.layer, 256)
    data.set(filter.label, 512)
    data.set(filter.token, 768)
    data.set(filter.expert, 1024)
    this.mask.needsUpdate = true
    this.uniforms.uHideFirst.value = filter.hideFirst
    this.onlyLayer = filter.onlyLayer
    this.uniforms.uOnlyLayer.value = filter.onlyLayer + 1
  }

  setMix(mix: number, other: number): void {
    this.uniforms.uMix.value = mix
    this.uniforms.uOther.value = other
  }

  setTheme(paper: Rgb, ink: Rgb): void {
    this.uniforms.uPaper.value.setRGB(paper[0] / 255, paper[1] / 255, paper[2] / 255)
    this.uniforms.uInk.value.setRGB(ink[0] / 255, ink[1] / 255, ink[2] / 255)
  }

  setSize(width: number, height: number): void {
    this.width = width
    this.height = height
    this.renderer.setPixelRatio(Math.min(2, window.devicePixelRatio))
    this.renderer.setSize(width, height, false)
    this.layOut()
  }

  /** Each of these in a part of its own, all from the same camera; none: one picture. `bottom`: pixels left free. */
  setBeside(parts: Part[], bottom: number): void {
    this.beside = parts
    this.bottom = bottom
    this.layOut()
  }
  private layOut(): void {
    this.cells = this.beside.length ? layOut(this.beside, this.width, Math.max(1, this.height - this.bottom)) : []
    this.camera.width = this.cells[0]?.width ?? this.width
    this.camera.height = this.cells[0]?.height ?? this.height
  }

  /** The part of the canvas that a pixel lies in, and where in it. */
  local(x: number, y: number): { x: number; y: number; cell: Cell | null } {
    const cell = this.cells.find((c) => x >= c.x && y >= c.y && x < c.x + c.width && y < c.y + c.height) ?? null
    return cell ? { x: x - cell.x, y: y - cell.y, cell } : { x, y, cell }
  }

  set pointSize(size: number) {
    this.size = size
  }
  private size = 4

  private prepare(scale: number): ReturnType<MapCamera['camera']> {
    const camera = this.camera.camera()
    this.uniforms.uSize.value = this.size * scale * (this.cells.length ? Math.max(0.4, Math.min(1, this.cells[0].height / 320)) : 1)
    this.uniforms.uDistance.value = this.camera.pose.dim === 3 ? this.camera.distance : 0
    this.uniforms.uAlpha.value = this.camera.pose.dim === 3 ? 1 : 0.85
    return camera
  }

  render(): void {
    if (this.lost) return
    const { renderer } = this
    const camera = this.prepare(renderer.getPixelRatio())
    const paper = this.uniforms.uPaper.value
    renderer.setRenderTarget(null)
    renderer.setClearColor(paper, 1)
    renderer.clear()
    if (!this.points) return
    this.points.material = this.drawing
    this.aggregated = false
    if (this.cells.length) return this.renderCells(camera)
    const some = this.inView(0, 0, this.width, this.height)
    const flat = this.camera.pose.dim === 2 && this.canDensity
    this.aggregated = flat && !this.ghosts && (some?.n ?? this.points.geometry.drawRange.count) > MOST_EXACT
    if (flat && (this.density || this.aggregated)) return this.renderDensity(camera, some)
    this.draw(camera, some)
    if (this.ghosts) {
      this.uniforms.uGhost.value = true
      this.drawing.uniformsNeedUpdate = true
      renderer.render(this.scene, camera)
      this.uniforms.uGhost.value = false
      this.drawing.uniformsNeedUpdate = true
    }
  }

  /** What is drawn from now on is a part's: its layer alone, if it is a layer's, and its run's places. null: all. */
  private only(part: Part | null): void {
    const layer = part && part.layer >= 0 ? part.layer : this.onlyLayer
    this.uniforms.uOnlyLayer.value = layer + 1
    this.drawing.uniformsNeedUpdate = this.picking.uniformsNeedUpdate = true
    const { geometry } = this.points!
    const second = part?.side === 1
    if (second === (this.first !== null)) return
    const attribute = (name: string) => geometry.getAttribute(name) as BufferAttribute
    if (second) {
      this.first = { position: attribute('position'), next: attribute('next') }
      geometry.setAttribute('position', attribute('other'))
      geometry.setAttribute('next', this.otherNext ?? attribute('other'))
    } else {
      for (const [name, own] of Object.entries(this.first!)) geometry.setAttribute(name, own)
      this.first = null
    }
  }

  private renderCells(camera: ReturnType<MapCamera['camera']>): void {
    const { renderer } = this
    const { geometry } = this.points!
    const n = geometry.drawRange.count
    renderer.setScissorTest(true)
    for (const cell of this.cells) {
      const { layer, x, y, width, height } = cell
      renderer.setViewport(x, this.height - y - height, width, height)
      renderer.setScissor(x, this.height - y - height, width, height)
      this.only(cell)
      // Each layer's own rows: as many vertices in all as one picture has.
      for (const [from, count] of layer < 0 ? [[0, n]] : (this.ranges.get(layer) ?? [])) {
        geometry.setDrawRange(from, count)
        renderer.render(this.scene, camera)
      }
    }
    geometry.setDrawRange(0, n)
    renderer.setScissorTest(false)
    renderer.setViewport(0, 0, this.width, this.height)
    this.only(null)
  }

  /** Of a large flat map the points in a rectangle of the canvas, by tiles; null: all are drawn, whether in view or not. */
  private inView(x: number, y: number, width: number, height: number): InView | null {
    const { pose } = this.camera
    const { uMix, uOther } = this.uniforms
    const { geometry } = this.points!
    if (pose.dim !== 2 || this.cells.length || geometry.drawRange.count <= MOST_EXACT || uMix.value > 0 || uOther.value > 0 || this.ghosts) return null
    this.tiles ??= new Tiles((geometry.getAttribute('position') as BufferAttribute).array as Float32Array)
    this.tiled ??= new BufferAttribute(this.tiles.order, 1)
    const unit = (2 * pose.reach) / this.height
    // A point reaches into view from beside it.
    const room = (this.size + 2) * unit
    const left = pose.x + (x - this.width / 2) * unit
    const top = pose.y - (y - this.height / 2) * unit
    return this.tiles.within({ left: left - room, right: left + width * unit + room, top: top + room, bottom: top - height * unit - room })
  }
  /** Draws the points of some tiles; null: all. */
  private draw(camera: ReturnType<MapCamera['camera']>, some: InView | null): void {
    if (!some) return this.renderer.render(this.scene, camera)
    const { geometry } = this.points!
    const n = geometry.drawRange.count
    geometry.setIndex(this.tiled)
    for (const [from, count] of some.ranges) {
      geometry.setDrawRange(from, count)
      this.renderer.render(this.scene, camera)
    }
    geometry.setIndex(null)
    geometry.setDrawRange(0, n)
  }

  private renderDensity(camera: ReturnType<MapCamera['camera']>, some: InView | null): void {
    this.points!.material = this.adding
    this.summed.render(camera, some?.n ?? this.points!.geometry.drawRange.count, () => this.draw(camera, some))
    if (!this.uniforms.uDim.value) return
    // What is selected or found is drawn over it, each point by itself.
    this.points!.material = this.drawing
    this.mark(true)
    this.draw(camera, some)
    this.mark(false)
  }
  private mark(only: boolean): void {
    this.uniforms.uMarked.value = only
    this.drawing.uniformsNeedUpdate = true
  }

  /** Row under a pixel of the canvas, or within a few; -1: none. */
  pick(x: number, y: number): number {
    if (!this.points || this.lost) return -1
    const { renderer } = this
    const { width, height } = this.camera
    const place = this.local(x, y)
    if (this.cells.length && !place.cell) return -1
    const camera = this.prepare(1)
    const half = (PICK - 1) / 2
    camera.setViewOffset(width, height, Math.round(place.x) - half, Math.round(place.y) - half, PICK, PICK)
    camera.updateProjectionMatrix()
    this.points.material = this.picking
    renderer.setRenderTarget(this.pickTarget)
    renderer.setClearColor(0x000000, 0)
    const gl = renderer.getContext() as WebGL2RenderingContext
    gl.clearBufferuiv(gl.COLOR, 0, new Uint32Array(4))
    renderer.clearDepth()
    this.only(place.cell)
    this.draw(camera, this.inView(x - half, y - half, PICK, PICK))
    this.only(null)
    const ids = new Uint32Array(4 * PICK * PICK)
    gl.readPixels(0, 0, PICK, PICK, gl.RGBA_INTEGER, gl.UNSIGNED_INT, ids)
    renderer.setRenderTarget(null)
    camera.clearViewOffset()
    this.points.material = this.drawing
    let best = -1
    let least = Infinity
    for (let i = 0; i < PICK * PICK; ++i) {
      if (ids[4 * i] === 0) continue
      const dx = (i % PICK) - half
      const dy = Math.floor(i / PICK) - half
      const d = dx * dx + dy * dy
      if (d < least) {
        least = d
        best = ids[4 * i] - 1
      }
    }
    return best
  }

  /** What is seen, points only, so many pixels for each of the page's. */
  picture(ratio: number): string {
    const { renderer } = this
    const before = renderer.getPixelRatio()
    renderer.setPixelRatio(ratio)
    renderer.setSize(this.width, this.height, false)
    this.render()
    const picture = this.canvas.toDataURL('image/png')
    renderer.setPixelRatio(before)
    renderer.setSize(this.width, this.height, false)
    this.render()
    return picture
  }

  loseContext(): void {
    this.renderer.forceContextLoss()
  }
  restoreContext(): void {
    this.renderer.forceContextRestore()
  }

  stop(): void {
    this.clearCloud()
    this.renderer.dispose()
  }
}
