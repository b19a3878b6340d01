// The map: drawing, picking, lassos, layers, links.
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { open } from './browser.mjs'
import { box, drawLasso, run, screen, settle, shared, shoot, test, tests, text, viewing, work } from './harness.mjs'
import { thin } from './synthetic.mjs'
import { inside } from './told.mjs'

/** Straight lines of a width that one frame draws over the points. */
const lines = (page, width) =>
  page.evaluate(async (width) => {
    const own = CanvasRenderingContext2D.prototype.lineTo
    let frame = 0
    const met = new Map()
    CanvasRenderingContext2D.prototype.lineTo = function (...at) { if (this.lineWidth === width) met.set(frame, (met.get(frame) ?? 0) + 1); own.call(this, ...at) }
    window.tomograph.redraw()
    for (; frame < 3; ++frame) await new Promise(requestAnimationFrame)
    CanvasRenderingContext2D.prototype.lineTo = own
    return Math.max(0, ...met.values())
  }, width)

test('WebGL 2 draws something', () =>
  viewing([text], async (page) => {
    const colors = await page.evaluate(() => {
      const v = window.tomograph
      v.scene.render()
      const c = document.createElement('canvas')
      c.width = c.height = 200
      const g = c.getContext('2d')
      g.drawImage(v.scene.canvas, 0, 0, 200, 200)
      return new Set(new Uint32Array(g.getImageData(0, 0, 200, 200).data.buffer)).size
    })
    assert.ok(colors > 20, `the canvas has ${colors} colours`)
  }))

test('picking at a pixel gives the point there', () =>
  viewing([text], async (page) => {
    await page.keyboard.press('2')
    await settle(page)
    const places = await screen(page, 1e9)
    const { x, y } = await box(page)
    // A lonely point: nothing else within 14 pixels.
    const row = places.findIndex((p, i) => p[0] > 40 && p[1] > 60 && p[0] < 700 && p[1] < 640 && places.every((q, j) => i === j || Math.hypot(p[0] - q[0], p[1] - q[1]) > 14))
    assert.ok(row >= 0)
    await page.mouse.click(x + places[row][0], y + places[row][1])
    await page.waitForFunction((r) => window.tomograph.picking.picked === r, row)
    await page.waitForFunction(() => window.tomograph.picking.near?.full && window.tomograph.picking.near.map)
    assert.equal(await page.locator('#details-title').count(), 1)
    const marked = await page.locator('[aria-current=true]').textContent()
    const piece = await page.evaluate((r) => window.tomograph.cloud.piece(r), row)
    assert.equal(marked.replaceAll('·', ' ').replaceAll('⏎', '\\n'), piece)
  }))

test('the lasso finds what brute force finds, adds and subtracts', () =>
  viewing([text], async (page) => {
    for (const dim of ['3', '2']) {
      await page.keyboard.press('Escape')
      await page.keyboard.press(dim)
      await settle(page)
      const places = await screen(page, 1e9)
      const concave = [[150, 150], [650, 160], [640, 560], [400, 260], [180, 600]]
      const expected = places.filter((p) => inside(concave, p)).length
      assert.ok(expected > 50)
      await drawLasso(page, concave)
      await page.waitForFunction((n) => window.tomograph.marks.selectedCount === n, expected, { timeout: 5000 })
      const second = [[300, 200], [500, 200], [500, 500], [300, 500]]
      const both = places.filter((p) => inside(concave, p) || inside(second, p)).length
      await drawLasso(page, second, 'Control')
      await page.waitForFunction((n) => window.tomograph.marks.selectedCount === n, both, { timeout: 5000 })
      const left = places.filter((p) => inside(concave, p) && !inside(second, p)).length
      await drawLasso(page, second, 'Alt')
      await page.waitForFunction((n) => window.tomograph.marks.selectedCount === n, left, { timeout: 5000 })
    }
    await shoot(page, 'lasso')
  }))

test('the lasso leaves out what a filter hides', () =>
  viewing([text], async (page) => {
    await page.getByRole('button', { name: /^attn_out [0-9]/ }).click()
    await page.keyboard.press('2')
    await settle(page)
    await drawLasso(page, [[5, 5], [2000, 5], [2000, 2000], [5, 2000]].map(([x, y]) => [Math.min(x, 780), Math.min(y, 700)]))
    await page.waitForFunction(() => window.tomograph.marks.selectedCount > 0)
    const components = await page.evaluate(() => {
      const v = window.tomograph
      return [...new Set(v.marks.selectedRows().map((r) => v.cloud.components[v.cloud.labels.component[r]]))]
    })
    assert.deepEqual(components, ['mlp_out'])
  }))

test('recolouring uploads no vertex data, and neither does a filter', () =>
  viewing([text], async (page) => {
    await settle(page)
    const before = await page.evaluate(() => window.tomograph.scene.uploads.vertexBytes)
    assert.ok(before > 10_000)
    for (const by of ['layer', 'position', 'norm', 'token', 'component']) {
      await page.getByLabel('Colour by').selectOption(by)
      await settle(page)
    }
    await page.getByRole('button', { name: /^attn_out [0-9]/ }).click()
    await settle(page)
    assert.equal(await page.evaluate(() => window.tomograph.scene.uploads.vertexBytes), before)
  }))

test('playback walks through the layers in one basis', () =>
  viewing([text], async (page) => {
    await page.keyboard.press(']')
    assert.equal(await page.evaluate(() => window.tomograph.playback.layer), 0)
    await settle(page)
    const moves = await page.evaluate(() => {
      const v = window.tomograph
      const row = [...v.cloud.labels.layer].indexOf(0)
      const next = v.cloud.atLayer(row, 1)
      v.playback.mix = 1
      const at = v.placeOf(row)
      v.playback.mix = 0
      return { at, there: [0, 1, 2].map((k) => v.places.positions[3 * next + k]), same: v.cloud.labels.token[row] === v.cloud.labels.token[next] }
    })
    assert.ok(moves.same)
    assert.deepEqual(moves.at, moves.there)
    await page.keyboard.press(' ')
    await page.waitForFunction(() => window.tomograph.playback.layer === 3 && !window.tomograph.playback.playing, null, { timeout: 60_000 })
    await page.keyboard.press('[')
    assert.equal(await page.evaluate(() => window.tomograph.playback.layer), 2)
  }, { hash: '#p=paths' }))

test('a search marks the tokens', () =>
  viewing([text], async (page) => {
    await page.keyboard.press('/')
    await page.keyboard.type('"w"')
    await page.waitForFunction(() => window.tomograph.marks.found > 0)
    const wrong = await page.evaluate(() => {
      const v = window.tomograph
      let wrong = 0
      for (let i = 0; i < v.cloud.n; ++i) if (((v.marks.state[i] & 2) !== 0) !== (v.cloud.piece(i) === 'w')) ++wrong
      return wrong
    })
    assert.equal(wrong, 0)
    await page.keyboard.press('Escape')
    assert.equal(await page.evaluate(() => window.tomograph.marks.found), 0)
  }))

test('a link restores the view', () =>
  viewing([text], async (page, server) => {
    await page.keyboard.press('2')
    await page.getByLabel('Colour by').selectOption('token')
    await page.mouse.move(600, 400)
    await page.mouse.wheel(0, -400)
    await page.evaluate(() => window.tomograph.marks.select([3, 5, 8], 'replace'))
    await page.evaluate(() => window.tomograph.picking.pick(5))
    await page.waitForFunction(() => location.hash.includes('sel=3.5.8') && location.hash.includes('pick=5'))
    const hash = await page.evaluate(() => location.hash)
    const pose = await page.evaluate(() => ({ ...window.tomograph.scene.camera.pose }))
    const again = await open(shared.context, server.url + hash)
    const back = await again.evaluate(() => {
      const v = window.tomograph
      return { dim: v.dim, coloring: v.colors.coloring, rows: v.marks.selectedRows(), picked: v.picking.picked, pose: { ...v.scene.camera.pose } }
    })
    assert.equal(back.dim, 2)
    assert.equal(back.coloring, 'token')
    assert.deepEqual(back.rows, [3, 5, 8])
    assert.equal(back.picked, 5)
    for (const key of ['x', 'y', 'reach']) assert.ok(Math.abs(back.pose[key] - pose[key]) < 1e-3, key)
    await again.close()
  }))

test('the first-token switch hides position 0', () =>
  viewing([text], async (page) => {
    const all = await page.evaluate(() => window.tomograph.hiding.visibleCount)
    await page.getByLabel('First tokens').uncheck()
    await page.waitForFunction((n) => window.tomograph.hiding.visibleCount < n, all)
    const first = await page.evaluate(() => [...window.tomograph.cloud.labels.position].filter((p) => p === 0).length)
    assert.equal(await page.evaluate(() => window.tomograph.hiding.visibleCount), all - first)
  }))

test('a mixture is coloured and filtered by expert', async () => {
  const mixture = join(work, 'mixture')
  run('capture', new URL('../../../tests/golden/models/mixtral.gguf', import.meta.url).pathname, '--out', mixture, '--prompts', 'vocabulary', '--rows', '40')
  run('project', mixture, '--name', 'out', '--components', 'mlp_out')
  await viewing([mixture], async (page) => {
    await page.getByLabel('Colour by').selectOption('expert')
    await page.getByRole('button', { name: /^expert 0/ }).click()
    const [shown, expected] = await page.evaluate(() => [window.tomograph.hiding.visibleCount, window.tomograph.cloud.labels.expert.filter((e) => e !== 0).length])
    assert.equal(shown, expected)
    await settle(page)
    const { width, height } = await box(page)
    await page.evaluate(([w, h]) => window.tomograph.lasso(Float32Array.from([0, 0, w, 0, w, h, 0, h]), 'replace'), [width, height])
    const chosen = await page.evaluate(() => window.tomograph.marks.selectedRows().map((r) => window.tomograph.cloud.labels.expert[r]))
    assert.ok(chosen.length > 0 && !chosen.includes(0))
  }, { hash: '#p=out' })
})

test('a finding takes the map to the view that shows it, and says what it is', () =>
  viewing([text], async (page) => {
    await page.getByRole('button', { name: 'layer paths' }).click()
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'paths' && window.tomograph.colors.coloring === 'layer' && window.tomograph.marks.selectedCount > 0)
    assert.match(await page.locator('.why').textContent(), /^Mean resultant length/)
  }))

test('the tour stops where this run has something to show', () =>
  viewing([text], async (page) => {
    await page.getByLabel('Colour by').selectOption('position')
    await page.getByRole('button', { name: 'Tour' }).click()
    const tour = page.getByRole('region', { name: 'Guided tour' })
    assert.match(await tour.textContent(), /1 of 3/)
    assert.match(await tour.textContent(), /silhouette .*: [\d.-]+; by chance below/)
    for (const name of ['pair', 'paths']) {
      await tour.getByRole('button', { name: 'Next' }).click()
      await page.waitForFunction((name) => window.tomograph.cloud?.name === name, name)
    }
    await tour.getByRole('button', { name: 'Done' }).click()
    await tour.waitFor({ state: 'detached' })
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'pair' && window.tomograph.colors.coloring === 'position') // where it began
  }))

test('fitting shows the cloud whole, in a wide window and a narrow one', () =>
  viewing([text], async (page) => {
    for (const [width, height] of [[1440, 900], [420, 860]]) {
      await page.setViewportSize({ width, height })
      for (const dim of ['3', '2']) {
        await page.keyboard.press(dim)
        await settle(page)
        const frame = await box(page)
        const places = await screen(page, 1e9)
        const inside = places.filter(([x, y]) => x > 0 && y > 0 && x < frame.width && y < frame.height)
        assert.ok(inside.length > 0.98 * places.length, `${inside.length} of ${places.length} in ${dim}-D at ${width}`)
        const reach = Math.max(...inside.map(([x]) => Math.abs(x / frame.width - 0.5)), ...inside.map(([, y]) => Math.abs(y / frame.height - 0.5)))
        assert.ok(reach > 0.4, 'it fills the picture')
      }
    }
    await page.setViewportSize({ width: 1440, height: 900 })
  }))

test('heat map and points are linked both ways', () =>
  viewing([text], async (page) => {
    const heat = page.getByLabel(/^Heat map of norms/)
    const at = await heat.boundingBox()
    await heat.click({ position: { x: at.width * (9.5 / 127), y: at.height * 0.9 } }) // position 0 stands apart
    await page.waitForFunction(() => window.tomograph.marks.selectedCount > 0)
    const rows = await page.evaluate(() => {
      const v = window.tomograph
      return v.marks.selectedRows().map((r) => [v.cloud.labels.layer[r], v.cloud.labels.position[r]])
    })
    assert.ok(rows.every(([layer, position]) => layer === 0 && position === 10))
    assert.equal(rows.length, 2 * 12)
    await page.evaluate(() => window.tomograph.picking.pick(40))
    await page.waitForSelector('.map .part:not(.first) i.v')
  }))

test('a lost context comes back with the same picture', () =>
  viewing([text], async (page) => {
    const ids = () => page.evaluate(() => {
      const v = window.tomograph
      return Array.from({ length: 200 }, (_, i) => v.scene.pick(100 + (i % 20) * 30, 100 + Math.floor(i / 20) * 50))
    })
    const before = await ids()
    assert.ok(before.some((id) => id >= 0))
    await page.evaluate(() => window.tomograph.scene.loseContext())
    await page.waitForFunction(() => window.tomograph.scene.contextLost)
    await page.evaluate(() => window.tomograph.scene.restoreContext())
    await page.waitForFunction(() => !window.tomograph.scene.contextLost)
    await settle(page)
    assert.deepEqual(await ids(), before)
  }, { mayComplain: true }))

/** Names and other words over the map, from what is drawn there. */
const writtenAt = (page) =>
  page.evaluate(async () => {
    const v = window.tomograph
    const own = CanvasRenderingContext2D.prototype.fillText
    const words = []
    CanvasRenderingContext2D.prototype.fillText = function (text, ...at) { words.push([text, ...at]); own.call(this, text, ...at) }
    v.redraw()
    for (let i = 0; i < 3; ++i) await new Promise(requestAnimationFrame)
    CanvasRenderingContext2D.prototype.fillText = own
    return words
  })
const written = async (page) => (await writtenAt(page)).map(([text]) => text)

test('clouds have names, points that are picked, found or selected have labels, and a bar says how far is far', () =>
  viewing([text], async (page) => {
    const before = await written(page)
    for (const name of ['attn_out', 'mlp_out']) assert.ok(before.some((w) => w.startsWith(name)), `${name}: ${before}`)
    assert.ok(before.some((w) => /^[\d.e+-]+(, in the middle)?$/.test(w)), 'a scale')
    await page.evaluate(() => window.tomograph.picking.pick(40))
    const piece = await page.evaluate(() => window.tomograph.cloud.piece(40).replaceAll(' ', '·').replaceAll('\\n', '⏎'))
    assert.ok((await written(page)).includes(piece), piece)
    await page.locator('.key', { hasText: 'the picked point' }).waitFor()
    await page.locator('.key', { hasText: 'to its nearest in the full space' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('2')
    await page.evaluate(() => window.tomograph.marks.select([20, 320, 620], 'replace'))
    const three = await page.evaluate(() => [20, 320, 620].map((r) => window.tomograph.cloud.piece(r).replaceAll(' ', '·')))
    const words = await written(page)
    assert.ok(three.some((p) => words.some((w) => w.startsWith(p) || w.startsWith('@'))), `${words} has none of ${three}`)
    await page.getByLabel('Names on the map').uncheck()
    assert.ok(!(await written(page)).some((w) => w.startsWith('attn_out')))
  }))

test('a sample is of whole tokens, and says so', async () => {
  run('project', text, '--name', 'some', '--components', 'attn_out,mlp_out', '--positions', '1:', '--rows', '700')
  try {
    await viewing([text], async (page) => {
      await page.locator('.counts', { hasText: 'a sample of 12,192: whole tokens, with all their layers' }).waitFor()
      const { n, sites, torn } = await page.evaluate(() => {
        const { cloud } = window.tomograph
        let torn = 0
        for (let r = 0; r < cloud.n; ++r) torn += cloud.way(r).includes(-1)
        return { n: cloud.n, sites: cloud.header.segments.length, torn }
      })
      assert.deepEqual([n, sites, torn], [696, 8, 0])
    }, { hash: '#p=some' })
  } finally {
    for (const ending of ['json', 'safetensors']) rmSync(join(text, 'projections', `some.${ending}`))
  }
})

test('one token’s way through all layers is one click; layers that the map lacks are not bridged, but can be fetched', async () => {
  const torn = join(work, 'torn')
  cpSync(text, torn, { recursive: true })
  // A map as older programs sampled it: single rows. Of every third token layer 1 is missing.
  thin(torn, 'paths', (row, n) => !(row >= n / 4 && row < n / 2 && row % 3 === 0))
  await viewing([text], async (page) => {
    await page.evaluate(() => window.tomograph.picking.pick(40))
    assert.equal(await page.getByRole('button', { name: 'Its whole way' }).count(), 0)
    await page.getByRole('button', { name: 'Its way through all 4 layers' }).click()
    assert.deepEqual(await page.evaluate(() => { const v = window.tomograph; return v.marks.selectedRows().map((r) => v.cloud.labels.layer[r]) }), [0, 1, 2, 3])
    await page.locator('.key', { hasText: 'numbers are layers' }).waitFor()
    for (const layer of ['0', '1', '2', '3']) assert.ok((await written(page)).includes(layer), layer)
  }, { hash: '#p=paths' })
  await viewing([torn], async (page) => {
    const row = await page.evaluate(() => {
      const { cloud } = window.tomograph
      for (let r = 0; r < cloud.n; ++r) if (cloud.way(r)[1] < 0) return r
    })
    await page.evaluate((row) => window.tomograph.picking.pick(row), row)
    await page.getByRole('button', { name: 'Its way through 3 of 4 layers' }).click()
    await page.locator('.counts', { hasText: 'the gaps stay open' }).waitFor()
    assert.equal(await lines(page, 3), 1, 'lines join neighbouring layers alone')
    // What the run itself has of the token: its place at layer 1 too, as on the whole map.
    await page.getByRole('button', { name: 'Its whole way' }).click()
    await page.locator('.key', { hasText: 'its whole way; 1 of 4 layers are not on this map' }).waitFor()
    const off = await page.evaluate((row) => {
      const { ways, cloud } = window.tomograph
      return Math.max(...cloud.way(row).flatMap((r, i) => (r < 0 ? [] : [0, 1, 2].map((k) => Math.abs(cloud.axis(k)[r] - ways.whole.points[i][k])))))
    }, row)
    assert.ok(off < 1e-3, `${off}`)
    assert.equal(await lines(page, 3), 1 + 3)
    await page.keyboard.press('Escape')
    await page.locator('.key', { hasText: 'its whole way' }).waitFor({ state: 'detached' })
  }, { hash: '#p=paths', mayComplain: true }) // its rows are none that a selection gives: there are no neighbours
})

test('positions count from the end, too: as a colour, in the details, in the search', () =>
  viewing([text], async (page) => {
    await page.getByLabel('Colour by').selectOption('from_end')
    await page.locator('.ends', { hasText: '-127' }).waitFor()
    await page.evaluate(() => window.tomograph.picking.pick(40))
    const at = await page.evaluate(() => window.tomograph.cloud.labels.position[40])
    await page.getByText(`${at}, ${at - 128} from the end`).waitFor()
    for (const [words, positions] of [['@-1', [127]], ['@-3:', [125, 126, 127]], ['@5', [5]], ['@2:4', [2, 3]]]) {
      await page.getByLabel('Search tokens').fill(words)
      await page.waitForFunction((n) => window.tomograph.marks.found === n, positions.length * 12 * 4)
      assert.deepEqual(await page.evaluate(() => [...new Set(window.tomograph.marks.foundRows().map((r) => window.tomograph.cloud.labels.position[r]))].sort((a, b) => a - b)), positions)
    }
  }, { hash: '#p=paths' }))

test('each token’s outlier score is a colour once it was measured', () =>
  viewing([text], async (page) => {
    await page.getByLabel('Colour by').selectOption({ label: 'outlier' })
    const { score, most } = await page.evaluate(() => {
      const v = window.tomograph
      const scores = v.cloud.tokens.further.get('score.outlier')
      return { score: v.run.outliers.outliers[0].score, most: Math.max(...[...scores].filter((s) => s === s)) }
    })
    assert.ok(Math.abs(most - score) < 1e-3 * score, `${most} and ${score}`)
  }))

test('layers stand side by side under one camera: drawn, picked and lassoed each in its own picture', () =>
  viewing([text], async (page) => {
    await page.getByRole('button', { name: 'side by side' }).click()
    await settle(page)
    const cells = await page.evaluate(() => window.tomograph.scene.cells)
    assert.deepEqual(cells.map((c) => c.layer), [0, 1, 2, 3])
    const words = await written(page)
    for (const { layer } of cells) assert.ok(words.includes(`layer ${layer}`))
    // Each has its share of labels, and the key covers no picture's name.
    await page.locator('#search').fill('e')
    await page.locator('.key', { hasText: 'found by the search' }).waitFor()
    const labels = (await writtenAt(page)).filter(([word]) => word === 'e')
    for (const { layer, x, y, width, height } of cells)
      assert.ok(labels.filter(([, lx, ly]) => lx > x && lx < x + width && ly > y && ly < y + height).length > 2, `labels of layer ${layer}`)
    const [key, frame] = [await page.locator('.key').boundingBox(), await box(page)]
    assert.ok(key.y - frame.y - cells[0].y > 20)
    await page.locator('#search').fill('')
    // Where points of each layer are, by the page's matrix and the cells alone; the point picked there is of that layer.
    const wrong = await page.evaluate(() => {
      const v = window.tomograph
      const wrong = []
      for (const cell of v.scene.cells) {
        const spot = told.spots(cell, v.places.positions)
        let met = 0
        for (let i = 0; i < v.cloud.n && met < 20; ++i) {
          if (v.cloud.labels.layer[i] !== cell.layer) continue
          const [px, py] = spot(i)
          if (!(px > 8 && py > 8 && px < cell.width - 8 && py < cell.height - 8)) continue
          ++met
          const row = v.scene.pick(cell.x + px, cell.y + py)
          if (row < 0 || v.cloud.labels.layer[row] !== cell.layer) wrong.push([cell.layer, i, row])
        }
        if (met < 20) wrong.push([cell.layer, met])
      }
      return wrong
    })
    assert.deepEqual(wrong, [])
    const { x, y, width, height } = cells[2]
    const count = await page.evaluate(([x, y, w, h]) => window.tomograph.lasso(Float32Array.from([x + 1, y + 1, x + w - 1, y + 1, x + w - 1, y + h - 1, x + 1, y + h - 1]), 'replace'), [x, y, width, height])
    assert.ok(count > 100)
    assert.deepEqual(await page.evaluate(() => [...new Set(window.tomograph.marks.selectedRows().map((r) => window.tomograph.cloud.labels.layer[r]))]), [2])
    await shoot(page, 'beside')
    await page.getByRole('button', { name: 'Layer after' }).click()
    await page.waitForFunction(() => window.tomograph.scene.cells.length === 0 && window.tomograph.playback.layer === 0)
  }, { hash: '#p=paths&color=position' }))

test('nothing of a fitted map lies under the text at its foot', () =>
  viewing([text], async (page) => {
    for (const dim of ['3', '2']) {
      await page.keyboard.press(dim)
      await settle(page)
      const foot = await page.locator('.foot').boundingBox()
      const frame = await box(page)
      const places = await screen(page, 1e9)
      const under = places.filter(([px, py]) => py > foot.y - frame.y && py < frame.height)
      const outside = places.filter(([px, py]) => px < 0 || py < 0 || px > frame.width || py > frame.height)
      const said = (await page.locator('.counts').textContent()).match(/([\d,]+) far out lie beyond/)
      const beyond = under.length + outside.length
      assert.ok(beyond < 0.004 * places.length && beyond <= Number(said?.[1].replace(',', '') ?? 0), `${beyond} beyond the edges in ${dim}-D, said: ${said?.[1]}`)
    }
    // The bar of the scale stands above it, however many lines it takes.
    await page.evaluate(() => window.tomograph.notices.say('Something long was said of this map. '.repeat(12)))
    await page.locator('.counts', { hasText: 'Something long' }).waitFor()
    await settle(page)
    const scale = (await writtenAt(page)).find(([word]) => /^[\d.e+-]+$/.test(word))
    assert.ok(scale[2] + 6 < (await page.locator('.foot').boundingBox()).y - (await box(page)).y, `${scale}`)
  }))
