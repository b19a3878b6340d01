/** The figures' colours: Okabe and Ito's for categories, OKLCH ramps of even lightness for numbers. */
export type Rgb = [number, number, number]

const blue = 0x0072b2
const vermilion = 0xd55e00
const green = 0x009e73
const purple = 0xcc79a7
const sky = 0x56b4e9
const orange = 0xe69f00
const ink = 0x333333

export const rgb = (hex: number): Rgb => [(hex >> 16) & 255, (hex >> 8) & 255, hex & 255]
export const css = ([r, g, b]: Rgb): string => `rgb(${r}, ${g}, ${b})`
export const mix = (a: Rgb, b: Rgb, t: number): Rgb =>
  a.map((from, i) => Math.round(from + (b[i] - from) * t)) as Rgb

const components: Record<string, number> = {
  attn_out: blue,
  mlp_out: vermilion,
  mixer_out: 0x117733,
  state: 0x999933,
  cross_ln: 0x88ccee,
  cross_z: 0x6699cc,
  cross_attn_out: 0x332288,
  moe_out: 0xb3541e,
  ple_out: 0xaa4499,
  skip_out: 0x6a6a6a,
  resid_post: green,
  resid_mid: 0x66c2a5,
  resid_pre: 0x00553e,
  embed: ink,
  pos_embed: purple,
  ln1: sky,
  z: 0x1b4f72,
  ln2: orange,
  ln_final: 0x999999,
  router: 0x8c564b,
  attn_in: 0x4477aa,
  mlp_in: 0xee8866,
  attn_depth: 0x44aa99,
  mlp_depth: 0xddcc77,
  attn_hc_pre: 0x77aadd,
  attn_hc_comb: 0x225588,
  attn_hc_post: 0x99ddff,
  mlp_hc_pre: 0xffaabb,
  mlp_hc_comb: 0x994455,
  mlp_hc_post: 0xeecc66,
}

/** On dark ground dark colours are lifted until they stand out. */
function lifted(color: Rgb, dark: boolean): Rgb {
  if (!dark) return color
  const lightness = (0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]) / 255
  return mix(color, [255, 255, 255], lightness < 0.25 ? 0.45 : lightness < 0.5 ? 0.22 : 0)
}

export const componentColor = (name: string, dark: boolean): Rgb => lifted(rgb(components[name] ?? 0x777777), dark)

const categories = [blue, vermilion, green, purple, sky, orange, ink]
export function categoryColor(i: number, dark: boolean): Rgb {
  const base = rgb(categories[i % categories.length])
  const round = Math.floor(i / categories.length) % 3
  const shade = round === 1 ? mix(base, [0, 0, 0], 0.4) : round === 2 ? mix(base, [255, 255, 255], 0.5) : base
  return lifted(shade, dark)
}

function linear(lightness: number, chroma: number, hue: number): number[] {
  const angle = (hue * Math.PI) / 180
  const a = chroma * Math.cos(angle)
  const b = chroma * Math.sin(angle)
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ]
}

export function oklch(lightness: number, chroma: number, hue: number): Rgb {
  let color = linear(lightness, chroma, hue)
  while (chroma > 0 && color.some((c) => c < -1e-4 || c > 1.0001)) {
    chroma = Math.max(0, chroma - 0.004)
    color = linear(lightness, chroma, hue)
  }
  return color.map((c) => {
    const v = Math.min(1, Math.max(0, c))
    return Math.round(255 * (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055))
  }) as Rgb
}

/** t in [0, 1]: violet over teal to yellow-green; on dark ground it starts lighter. */
export function sequential(t: number, dark: boolean): Rgb {
  const x = Math.min(1, Math.max(0, t))
  return dark
    ? oklch(0.45 + 0.45 * x, 0.14 + 0.04 * x, 300 - 188 * x)
    : oklch(0.28 + 0.52 * x, 0.125 + 0.05 * x, 300 - 186 * x)
}
