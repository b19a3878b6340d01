// Where points are on the screen, and which of them an outline holds: told from the page's matrix and none of its code.
// Every page of the tests has these as `told`.

/** Gives where a row is drawn in a picture of this size as the camera stands now, [x, y] in pixels from its top left. */
function spots({ width, height }, positions) {
  const m = window.tomograph.scene.camera.matrix()
  return (row) => {
    const [x, y, z] = [positions[3 * row], positions[3 * row + 1], positions[3 * row + 2]]
    const w = m[3] * x + m[7] * y + m[11] * z + m[15]
    return [((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * width, (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * height]
  }
}

/** By the even-odd rule, of [[x, y], ...]. */
export function inside(polygon, [x, y]) {
  let within = false
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i]
    const [xj, yj] = polygon[j]
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within
  }
  return within
}

export const told = `window.told = { spots: ${spots}, inside: ${inside} }`
