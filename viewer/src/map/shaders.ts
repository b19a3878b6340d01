/** Columns that a point can be coloured by, as the shader numbers them; after them it reads `more`, as categories and
 * as numbers. */
export const colorings = ['component', 'layer', 'position', 'label', 'norm', 'token', 'sequence', 'expert'] as const
/** By one of them, by the position from the end, or by a further column of labels or a score of the run's tokens. */
export type Coloring = (typeof colorings)[number] | 'from_end' | `column.${string}` | `score.${string}`

export const vertexShader = /* glsl */ `
precision highp float;
precision highp int;
uniform mat4 projectionMatrix;
uniform mat4 modelViewMatrix;
uniform float uSize;        // pixels
uniform float uDistance;    // from the camera at which a point has that size; 0: everywhere
uniform float uMix;         // on the way to the next layer
uniform float uOther;       // on the way to the second run's place
uniform int uBy;
uniform vec2 uRange;        // values at the palette's ends
uniform int uOnlyLayer;     // + 1; 0: all
uniform bool uHideFirst;
uniform bool uDim;          // something is selected: the rest steps back
uniform bool uGhost;        // the second run's points, beside the first's
uniform bool uMarked;       // only what is selected or found
uniform sampler2D uPalette; // 1024 x 1
uniform sampler2D uMask;    // 256 x 5: component, layer + 1, label + 1, token rank, expert + 1
uniform vec3 uPaper;
in vec3 position;
in vec3 next;
in vec3 other;
in uvec4 labels;            // component | (layer + 1) << 8, token position, label + 1, norm code
in uvec2 names;             // token rank, sequence | (expert + 1) << 8
in uint more;               // of the further column that is shown, if any
in uint state;              // 1: selected, 2: found by the search
out vec4 vColor;
flat out uint vId;
flat out float vRing;

bool shown(uint row, uint index) {
    return texelFetch(uMask, ivec2(int(min(index, 255u)), int(row)), 0).r > 0.5;
}

void main() {
    uint component = labels.x & 255u;
    uint layer = labels.x >> 8;
    uint expert = names.y >> 8;
    vId = uint(gl_VertexID) + 1u;
    vRing = 0.0;
    bool visible = shown(0u, component) && shown(1u, layer) && shown(2u, labels.z) && shown(3u, names.x)
        && shown(4u, expert)
        && !(uHideFirst && labels.y == 0u)
        && (uOnlyLayer == 0 || int(layer) == uOnlyLayer);
    vec3 place = mix(mix(position, next, uMix), other, uGhost ? 1.0 : uOther);
    visible = visible && !(uMarked && state == 0u);
    // The second run may lack a row: it lies out of the world then.
    visible = visible && abs(place.x) < 1e20;
    if (!visible) {
        gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
        gl_PointSize = 0.0;
        vColor = vec4(0.0);
        return;
    }
    float value;
    bool category = false;
    if (uBy == 0) { value = float(component); category = true; }
    else if (uBy == 1) value = float(layer) - 1.0;
    else if (uBy == 2) value = float(labels.y);
    else if (uBy == 3) { value = float(labels.z); category = true; }
    else if (uBy == 4) value = float(labels.w == 65535u ? 0u : labels.w);
    else if (uBy == 5) { value = float(names.x); category = true; }
    else if (uBy == 6) { value = float(names.y & 255u); category = true; }
    else if (uBy == 7) { value = float(expert); category = true; }
    else { value = float(more); category = uBy == 8; }
    float at = category ? min(value, 1023.0)
                        : clamp((value - uRange.x) / max(uRange.y - uRange.x, 1e-9), 0.0, 1.0) * 1023.0;
    vec3 color = texelFetch(uPalette, ivec2(int(at + 0.5), 0), 0).rgb;

    vec4 eye = modelViewMatrix * vec4(place, 1.0);
    gl_Position = projectionMatrix * eye;
    float size = uSize * (uDistance > 0.0 ? clamp(uDistance / max(-eye.z, 1e-3), 0.45, 3.0) : 1.0);
    // Far points fade a little: depth without light.
    if (uDistance > 0.0) color = mix(color, uPaper, clamp((-eye.z - uDistance) / uDistance, -0.2, 1.0) * 0.55 + 0.11);
    bool picked = state != 0u;
    float alpha = 1.0;
    if (uDim && !picked) {
        color = mix(color, uPaper, 0.82);
        gl_Position.z = mix(gl_Position.z, gl_Position.w, 0.9);  // behind what is selected
        size *= 0.85;
    } else if (picked) {
        size = size * 1.3 + 1.0;
        vRing = (state & 2u) != 0u ? 1.0 : 0.0;
    }
    if (uGhost) { color = mix(color, uPaper, 0.45); vRing = 2.0; size = max(size, 5.0); }
    vColor = vec4(color, alpha);
    gl_PointSize = size;
}
`

/** What the vertex shader hands to every fragment shader of points. */
const pointInput = /* glsl */ `precision highp float;
precision highp int;
in vec4 vColor;
flat in uint vId;
flat in float vRing;`

export const fragmentShader = /* glsl */ `
${pointInput}
uniform float uAlpha;
uniform vec3 uInk;
out vec4 color;
void main() {
    vec2 d = gl_PointCoord * 2.0 - 1.0;
    float r = dot(d, d);
    if (r > 1.0) discard;
    if (vRing > 1.5 && r < 0.35) discard;  // a ghost is a ring
    vec3 c = vRing > 0.5 && vRing < 1.5 && r > 0.45 ? uInk : vColor.rgb;
    color = vec4(c, uAlpha * (1.0 - smoothstep(0.72, 1.0, r)));
}
`

export const pickFragmentShader = /* glsl */ `
${pointInput}
out uvec4 id;
void main() {
    vec2 d = gl_PointCoord * 2.0 - 1.0;
    if (dot(d, d) > 1.0) discard;
    id = uvec4(vId, 0u, 0u, 1u);
}
`

/** Adds up: colour in rgb, count in a. */
export const densityFragmentShader = /* glsl */ `
${pointInput}
out vec4 color;
void main() {
    vec2 d = gl_PointCoord * 2.0 - 1.0;
    float r = dot(d, d);
    if (r > 1.0) discard;
    color = vec4(vColor.rgb, 1.0) * (1.0 - r);
}
`

export const toneVertexShader = /* glsl */ `
precision highp float;
in vec3 position;
void main() { gl_Position = vec4(position.xy, 0.0, 1.0); }
`

/** Mean colour; opacity by the logarithm of the count. */
export const toneFragmentShader = /* glsl */ `
precision highp float;
uniform sampler2D uSum;
uniform vec3 uPaper;
uniform float uTop;
out vec4 color;
void main() {
    vec4 sum = texelFetch(uSum, ivec2(gl_FragCoord.xy), 0);
    vec3 mean = sum.a > 0.0 ? sum.rgb / sum.a : uPaper;
    float t = clamp(log(1.0 + sum.a) / log(1.0 + uTop), 0.0, 1.0);
    color = vec4(mix(uPaper, mean, sum.a > 0.0 ? 0.15 + 0.85 * t : 0.0), 1.0);
}
`
