import { BufferAttribute, BufferGeometry, FloatType, GLSL3, HalfFloatType, Mesh, NearestFilter, RawShaderMaterial, RGBAFormat, Scene as ThreeScene, WebGLRenderTarget, type Camera, type Color, type WebGLRenderer } from 'three'
import { toneFragmentShader, toneVertexShader } from './shaders'

/** What adds up where points lie one over the other, and the picture that comes of it. */
export class Density {
  private readonly toning: RawShaderMaterial
  private readonly scene = new ThreeScene()
  private sums: WebGLRenderTarget | null = null

  constructor(
    private readonly renderer: WebGLRenderer,
    uPaper: { value: Color },
    private readonly floats: boolean,
  ) {
    const corner = new BufferGeometry()
    corner.setAttribute('position', new BufferAttribute(new Float32Array([-1, -1, 0, 3, -1, 0, -1, 3, 0]), 3))
    this.toning = new RawShaderMaterial({
      glslVersion: GLSL3,
      uniforms: { uSum: { value: null }, uPaper, uTop: { value: 30 } },
      vertexShader: toneVertexShader,
      fragmentShader: toneFragmentShader,
      depthTest: false,
      depthWrite: false,
    })
    const screen = new Mesh(corner, this.toning)
    screen.frustumCulled = false
    this.scene.add(screen)
  }

  /** `add` draws `n` points, each adding to what is there; the canvas then shows what came together. */
  render(camera: Camera, n: number, add: () => void): void {
    const { renderer } = this
    const { width, height } = renderer.domElement
    if (!this.sums || this.sums.width !== width || this.sums.height !== height) {
      this.sums?.dispose()
      this.sums = new WebGLRenderTarget(width, height, {
        type: this.floats ? FloatType : HalfFloatType,
        format: RGBAFormat,
        minFilter: NearestFilter,
        magFilter: NearestFilter,
        depthBuffer: false,
      })
    }
    renderer.setRenderTarget(this.sums)
    renderer.setClearColor(0x000000, 0)
    renderer.clear()
    add()
    renderer.setRenderTarget(null)
    this.toning.uniforms.uSum.value = this.sums.texture
    this.toning.uniforms.uTop.value = Math.max(8, n / 2000)
    renderer.render(this.scene, camera)
  }
}
