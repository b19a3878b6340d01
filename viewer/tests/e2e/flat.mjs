// Flat maps of more points than are drawn one by one: a density from afar, each point near.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { open, serve } from './browser.mjs'
import { settle, shared, shoot, test, work } from './harness.mjs'
import { synthesize } from './synthetic.mjs'

const look = (page, pose) =>
  page.evaluate((pose) => {
    const v = window.tomograph
    Object.assign(v.scene.camera.pose, pose)
    v.redraw()
  }, pose)
/** What is drawn just now: [r, g, b, a, ...] of a square of pixels. */
const pixels = (page, x, y, side) =>
  page.evaluate(([x, y, side]) => {
    const { scene } = window.tomograph
    scene.render()
    const gl = scene.renderer.getContext()
    const out = new Uint8Array(4 * side * side)
    gl.readPixels(x, scene.height - y - side, side, side, gl.RGBA, gl.UNSIGNED_BYTE, out)
    return Array.from(out)
  }, [x, y, side])

test('2,000,000 flat points: a density from afar, each of them near, and which is said', async () => {
  const big = synthesize(join(work, 'flat'), 2_000_000)
  const server = await serve(big)
  const page = await open(shared.context, server.url + '#theme=light')
  try {
    assert.equal(await page.evaluate(() => window.tomograph.dim), 2)
    await page.getByText('aggregated', { exact: true }).waitFor()
    await settle(page)
    await shoot(page, 'flat-far')
    const ink = (of) => of.filter((v, i) => i % 4 === 0 && v < 250).length
    assert.ok(ink(await pixels(page, 0, 0, 400)) > 2000, 'something is drawn')
    // What is selected stands over the density, each point by itself.
    const row = await page.evaluate(() => 1_234_567)
    const at = () => page.evaluate((row) => {
      const { scene, places } = window.tomograph
      return told.spots(scene, places.positions)(row).map(Math.round)
    }, row)
    const [fx, fy] = await at()
    const before = await pixels(page, fx - 1, fy - 1, 3)
    await page.evaluate((row) => window.tomograph.marks.select([row], 'replace'), row)
    await settle(page)
    assert.notDeepEqual(await pixels(page, fx - 1, fy - 1, 3), before)
    await page.keyboard.press('Escape')
    // Near: each point, and the same ones as where nothing is left out.
    const place = await page.evaluate((row) => Array.from(window.tomograph.places.positions.subarray(3 * row, 3 * row + 2)), row)
    await look(page, { x: place[0], y: place[1], reach: 0.05 })
    await page.getByText('each point in view is drawn').waitFor()
    assert.equal(await page.evaluate(() => window.tomograph.aggregated), false)
    const [x, y] = await at()
    const near = await pixels(page, x - 150, y - 150, 300)
    await shoot(page, 'flat-near')
    await page.evaluate(() => window.tomograph.scene.setMix(1e-9, 0))
    await page.evaluate(() => (window.tomograph.scene.density = false))
    const mixed = await page.evaluate(() => { window.tomograph.scene.render(); return window.tomograph.scene.aggregated })
    assert.ok(mixed, 'on the way to the next layer they lie elsewhere than by their tiles')
    await page.evaluate(() => window.tomograph.scene.setMix(0, 0))
    assert.deepEqual(await pixels(page, x - 150, y - 150, 300), near)
    // Every point that lies in the picture, counted by none of the page's code, has its colour there.
    const lacking = await page.evaluate(() => {
      const v = window.tomograph
      v.scene.render()
      const { width, height } = v.scene
      const gl = v.scene.renderer.getContext()
      const drawn = new Uint8Array(4 * width * height)
      gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, drawn)
      const spot = told.spots(v.scene, v.places.positions)
      let n = 0
      let lacking = 0
      for (let i = 0; i < v.cloud.n; ++i) {
        const [x, y] = spot(i)
        const [px, py] = [Math.floor(x), Math.floor(height - y)]
        if (px < 0 || py < 0 || px >= width || py >= height) continue
        ++n
        const k = 4 * (py * width + px)
        if (drawn[k] > 250 && drawn[k + 1] > 250 && drawn[k + 2] > 250) ++lacking
      }
      return { n, lacking }
    })
    // A point on the line between two pixels may be counted at the other one.
    assert.ok(lacking.n > 1000 && lacking.lacking <= lacking.n / 1000, JSON.stringify(lacking))
    const picked = await page.evaluate(([x, y]) => window.tomograph.scene.pick(x, y), [x, y])
    const off = await page.evaluate(([a, b]) => {
      const { positions } = window.tomograph.places
      return Math.hypot(positions[3 * a] - positions[3 * b], positions[3 * a + 1] - positions[3 * b + 1])
    }, [picked, row])
    assert.ok(off < 0.001, `picked ${picked} beside ${row}`)
    await page.keyboard.press('3')
    await settle(page)
    assert.equal(await page.evaluate(() => window.tomograph.aggregated), false)
    assert.deepEqual(page.complaints, [])
  } finally {
    await page.close()
    server.stop()
  }
})
