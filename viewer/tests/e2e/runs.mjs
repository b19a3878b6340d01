// Two runs: overlaid and side by side, and the lists of what moved.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { box, LOOKS, looksRight, run, screen, settle, shoot, test, text, viewing, work } from './harness.mjs'

/** The text of the others, read by the model in 4 bits. */
const coarse = (() => {
  let made = ''
  return () => {
    if (made) return made
    const weights = join(work, 'bytes-q4_0.gguf')
    run('quantize', 'bytes-gpt2', '--type', 'q4_0', '--out', weights)
    run('capture', weights, '--out', (made = join(work, 'coarse')), '--sequences', '12')
    return made
  }
})()
const compared = (page) => page.waitForFunction(() => window.tomograph.comparison.matched !== null)
const panel = (page) => page.getByRole('region', { name: 'Two runs, one basis' })

test('two runs: the second in the first one’s basis, with lines', () =>
  viewing([text, coarse()], async (page) => {
    await compared(page)
    const state = await page.evaluate(() => ({ matched: window.tomograph.comparison.matched, n: window.tomograph.cloud.n, moved: window.tomograph.comparison.displacement }))
    assert.equal(state.matched, state.n)
    assert.ok(state.moved > 0)
    await page.getByLabel('From the first run to the second').fill('1')
    await settle(page)
    await shoot(page, 'compare')
  }))

test('layers that moved and tokens that moved most are what the vectors say, and take the map there', () =>
  viewing([text, coarse()], async (page) => {
    await compared(page)
    // From what the server sends of each row, by none of the page's code.
    const told = await page.evaluate(async () => {
      const { cloud } = window.tomograph
      const moved = new Float32Array(await (await fetch('api/counterpart/paths/displacement')).arrayBuffer())
      const { sites } = await (await fetch('api/counterpart/paths')).json()
      const length = Object.fromEntries(sites.map((s) => [s.layer, s.length]))
      const rows = Array.from(moved, (d, row) => ({ row, layer: cloud.labels.layer[row], share: d / length[cloud.labels.layer[row]], position: cloud.labels.position[row] })).filter((r) => r.position > 0)
      const of = (layer) => Math.sqrt(rows.filter((r) => r.layer === layer).reduce((s, r) => s + (r.share * length[layer]) ** 2, 0) / rows.filter((r) => r.layer === layer).length) / length[layer]
      const layers = [0, 1, 2, 3].sort((a, b) => of(b) - of(a))
      return { layers, movement: of(layers[0]), first: rows.sort((a, b) => b.share - a.share)[0] }
    })
    const layers = panel(page).getByRole('list', { name: 'Layers by how far they moved' }).getByRole('button')
    assert.deepEqual((await layers.allTextContents()).map((t) => Number(/layer (\d)/.exec(t)[1])), told.layers)
    assert.ok(Math.abs(parseFloat(await layers.first().locator('.n').textContent()) - 100 * told.movement) < 0.01 * 100 * told.movement)
    const tokens = panel(page).getByRole('list', { name: 'Rows by how far they moved' }).getByRole('button')
    assert.equal(await tokens.count(), 12)
    await tokens.first().click()
    assert.equal(await page.evaluate(() => window.tomograph.picking.picked), told.first.row)
    await page.getByText('moved by').waitFor()
    await layers.nth(1).click()
    assert.equal(await page.evaluate(() => window.tomograph.playback.layer), told.layers[1])
    // The tokens listed are of the layer that is shown.
    await panel(page).getByRole('heading', { name: `Tokens that moved most, layer ${told.layers[1]}` }).waitFor()
    await tokens.nth(2).click()
    assert.equal(await page.evaluate(() => { const v = window.tomograph; return v.cloud.labels.layer[v.picking.picked] }), told.layers[1])
    await shoot(page, 'moved')
  }, { hash: '#p=paths&theme=light' }))

test('two runs side by side under one camera: drawn, picked, lassoed and played each in its own picture', () =>
  viewing([text, coarse()], async (page) => {
    await compared(page)
    await panel(page).getByRole('button', { name: 'Side by side' }).click()
    await settle(page)
    const cells = await page.evaluate(() => window.tomograph.scene.cells)
    assert.deepEqual(cells.map((c) => c.side), [0, 1])
    assert.equal(cells[0].width, cells[1].width)
    // A point of the second run, where it lies there by the page's matrix alone, is that row, and its first run's place is not.
    const wrong = await page.evaluate(() => {
      const v = window.tomograph
      const wrong = []
      for (const cell of v.scene.cells) {
        const places = cell.side ? v.comparison.otherPositions : v.places.positions
        const spot = told.spots(cell, places)
        let hits = 0
        let met = 0
        for (let i = 0; i < v.cloud.n && met < 400; i += 7) {
          const [px, py] = spot(i)
          if (!(px > 8 && py > 30 && px < cell.width - 8 && py < cell.height - 8)) continue
          ++met
          const row = v.scene.pick(cell.x + px, cell.y + py)
          const near = row >= 0 && Math.hypot(...[0, 1].map((k) => places[3 * row + k] - places[3 * i + k])) < 0.2
          hits += near
        }
        if (met < 300 || hits < 0.9 * met) wrong.push([cell.side, hits, met])
      }
      return wrong
    })
    assert.deepEqual(wrong, [])
    // What is drawn left is not what is drawn right, and each half has its points.
    const halves = await page.evaluate(() => {
      const v = window.tomograph
      v.scene.render()
      return v.scene.cells.map(({ x, y, width, height }) => {
        const c = document.createElement('canvas')
        ;[c.width, c.height] = [width, height]
        const g = c.getContext('2d')
        g.drawImage(v.scene.canvas, x, y, width, height, 0, 0, width, height)
        const pixels = new Uint32Array(g.getImageData(0, 0, width, height).data.buffer)
        return [pixels.reduce((s, p) => s + (p !== 0xffffffff), 0), pixels.reduce((s, p, i) => (s * 31 + p * (i % 97)) | 0, 7)]
      })
    })
    assert.ok(halves.every(([n]) => n > 3000), `${halves}`)
    assert.notEqual(halves[0][1], halves[1][1])
    for (const { side, x, y, width, height } of cells) {
      const got = await page.evaluate(([x, y, w, h]) => window.tomograph.lasso(Float32Array.from([x + 1, y + 1, x + w / 2, y + 1, x + w / 2, y + h - 1, x + 1, y + h - 1]), 'replace'), [x, y, width, height])
      const expected = await page.evaluate(([side, w, h]) => {
        const v = window.tomograph
        const spot = told.spots({ width: w, height: h }, side ? v.comparison.otherPositions : v.places.positions)
        let n = 0
        for (let i = 0; i < v.cloud.n; ++i) {
          const [sx, sy] = spot(i)
          n += sx > 1 && sx < w / 2 && sy > 1 && sy < h - 1
        }
        return n
      }, [side, width, height])
      assert.ok(Math.abs(got - expected) <= 3, `side ${side}: ${got}, brute force ${expected}`)
    }
    await page.evaluate(() => window.tomograph.marks.select([10, 400, 2000], 'replace'))
    await page.locator('.key', { hasText: 'from its place in the first run' }).waitFor()
    await page.getByLabel('paths of the selection').check()
    await settle(page)
    await shoot(page, 'runs-beside')
    // Layers play in both; the link holds both.
    await page.keyboard.press(']')
    await page.waitForFunction(() => window.tomograph.playback.layer === 0) // though a box was just ticked
    await page.locator('canvas.points').focus()
    await page.keyboard.press('Space')
    await page.waitForFunction(() => window.tomograph.playback.playing && window.tomograph.playback.mix > 0.2 && window.tomograph.comparison.otherNext)
    await page.waitForFunction(() => !window.tomograph.playback.playing, null, { timeout: 20_000 })
    assert.equal(await page.evaluate(() => window.tomograph.scene.cells.length), 2)
    await page.waitForFunction(() => location.hash.includes('beside=runs'))
    await page.reload()
    await compared(page)
    await page.waitForFunction(() => window.tomograph.scene?.cells.length === 2)
    await panel(page).getByRole('button', { name: 'Overlaid' }).click()
    await page.waitForFunction(() => window.tomograph.scene.cells.length === 0)
  }, { hash: '#p=paths&theme=light&dim=2' }))

test('what cannot be compared says so', async () => {
  run('project', text, '--name', 'islands', '--method', 'umap', '--components', 'mlp_out', '--positions', '1:', '--rows', '400', '--dims', '2')
  await viewing([text, coarse()], async (page) => {
    await page.getByText('This map has no axes to project the second run on').waitFor()
    await page.getByLabel('Run', { exact: true }).selectOption('1')
    await page.getByText('No projection of this run has rows.').or(page.getByText('This run has no projection yet.')).waitFor()
  }, { hash: '#p=islands' })
})

test('two runs: axe finds nothing serious, at every size, one over the other and side by side', async () => {
  for (const [theme, width, height] of LOOKS)
    await viewing([text, coarse()], async (page) => {
      await page.setViewportSize({ width, height })
      await compared(page)
      await panel(page).getByRole('list', { name: 'Rows by how far they moved' }).getByRole('button').nth(1).click()
      for (const how of ['Overlaid', 'Side by side']) {
        await panel(page).getByRole('button', { name: how }).click()
        await looksRight(page, `runs-${theme}-${width}-${how[0]}`)
      }
      await page.setViewportSize({ width: 1440, height: 900 })
    }, { hash: `#p=paths&theme=${theme}` })
})
