// Drives Chromium through the viewer on runs of the built-in models and on synthetic clouds. `npm run e2e`; the binary
// is $TOMOGRAPH_BINARY. With $TOMOGRAPH_SCREENSHOTS pictures of the panels go to that folder.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { binary, launch, open, serve } from './browser.mjs'
import { synthesizeProjection } from './synthetic.mjs'

const work = mkdtempSync(join(tmpdir(), 'tomograph-e2e-'))
const run = (...args) => execFileSync(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] })
const shots = process.env.TOMOGRAPH_SCREENSHOTS
if (shots) mkdirSync(shots, { recursive: true })
const shoot = async (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) })

const text = join(work, 'text')
run('capture', 'bytes-gpt2', '--out', text, '--sequences', '12')
run('project', text, '--name', 'pair', '--components', 'attn_out,mlp_out', '--positions', ':')
run('measure', text)
run('project', text, '--name', 'paths', '--components', 'resid_post', '--positions', '1:', '--normalize', 'unit')

const tests = []
const test = (name, body) => tests.push({ name, body })
const only = process.argv[2]

/** A viewer and a page on it, closed when the body is through; a page that complained has failed. */
async function viewing(args, body, { hash = '#p=pair', launchOptions, cloud, mayComplain = false } = {}) {
  const server = await serve(...args)
  const browser = launchOptions ? await launch(launchOptions) : shared
  try {
    const page = await open(browser.context, server.url + hash, { cloud })
    await body(page, server)
    if (!mayComplain) assert.deepEqual(page.complaints, [])
    await page.close()
  } finally {
    if (launchOptions) await browser.stop()
    server.stop()
  }
}
/** The address of a report of `text`, written when it is first asked for. */
function writtenReport() {
  const report = join(work, 'report.html')
  if (!existsSync(report)) run('view', text, '--report', report)
  return pathToFileURL(report).href
}
const settle = (page) => page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))))
const box = (page) => page.locator('canvas.points').boundingBox()

/** Where rows are on the screen, from the page's own matrix and nothing else of its code. */
const screen = (page, most) =>
  page.evaluate((most) => {
    const v = window.tomograph
    const m = v.scene.camera.matrix()
    const { width, height } = v.scene.camera
    const out = []
    for (let i = 0; i < Math.min(most, v.cloud.n); ++i) {
      const [x, y, z] = [0, 1, 2].map((k) => v.places.positions[3 * i + k])
      const w = m[3] * x + m[7] * y + m[11] * z + m[15]
      out.push([((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * width, (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * height])
    }
    return out
  }, most)

/** How many points lie in an outline, counted in the page by none of its own code. */
const bruteForce = (page, polygon) =>
  page.evaluate((polygon) => {
    const v = window.tomograph
    const m = v.scene.camera.matrix()
    const { width, height } = v.scene.camera
    let count = 0
    for (let i = 0; i < v.cloud.n; ++i) {
      const px = v.places.positions[3 * i]
      const py = v.places.positions[3 * i + 1]
      const pz = v.places.positions[3 * i + 2]
      const w = m[3] * px + m[7] * py + m[11] * pz + m[15]
      const x = ((m[0] * px + m[4] * py + m[8] * pz + m[12]) / w + 1) * 0.5 * width
      const y = (1 - (m[1] * px + m[5] * py + m[9] * pz + m[13]) / w) * 0.5 * height
      let within = false
      for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
        const [xa, ya] = polygon[a]
        const [xb, yb] = polygon[b]
        if (ya > y !== yb > y && x < ((xb - xa) * (y - ya)) / (yb - ya) + xa) within = !within
      }
      count += within
    }
    return count
  }, polygon)

function inside(polygon, [x, y]) {
  let within = false
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i]
    const [xj, yj] = polygon[j]
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) within = !within
  }
  return within
}

async function drawLasso(page, points, modifier) {
  const { x, y } = await box(page)
  await page.mouse.move(x + points[0][0], y + points[0][1])
  await page.keyboard.down('Shift')
  await page.mouse.down()
  for (const [px, py] of points.slice(1)) await page.mouse.move(x + px, y + py)
  if (modifier) await page.keyboard.down(modifier)
  await page.mouse.up()
  if (modifier) await page.keyboard.up(modifier)
  await page.keyboard.up('Shift')
}

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
    await page.getByRole('button', { name: /^attn_out/ }).click()
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
    await page.getByRole('button', { name: /^attn_out/ }).click()
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
    await page.waitForFunction(() => window.tomograph.playback.layer === 3 && !window.tomograph.playback.playing, null, { timeout: 15_000 })
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

test('hostile token texts stay texts', async () => {
  const hostile = join(work, 'hostile')
  cpSync(text, hostile, { recursive: true })
  const file = join(hostile, 'tokens.jsonl')
  const bad = ['<img src=x onerror="window.hacked=1">', '<script>window.hacked=1</script>', '"><svg onload=window.hacked=1>', '\u202Eevil', '{{7*7}}', '&lt;b&gt;']
  const swap = new Map()
  const lines = readFileSync(file, 'utf8').trim().split('\n').map((line) => {
    const sequence = JSON.parse(line)
    sequence.pieces = sequence.pieces.map((piece) => {
      const key = JSON.stringify(piece)
      if (!swap.has(key)) swap.set(key, bad[swap.size % bad.length])
      return swap.get(key)
    })
    return JSON.stringify(sequence)
  })
  writeFileSync(file, lines.join('\n') + '\n')
  await viewing([hostile], async (page) => {
    await page.getByLabel('Colour by').selectOption('token')
    await page.evaluate(() => window.tomograph.picking.pick(40))
    await page.waitForFunction(() => window.tomograph.picking.near?.full)
    assert.equal(await page.locator('.text img, .text svg, .text script, aside img').count(), 0)
    assert.ok((await page.locator('.text').textContent()).includes('<img'))
    const svg = await page.evaluate(() => window.tomograph.colors.legend().map((e) => e.text).join(''))
    assert.ok(svg.includes('<script>'))
    assert.equal(await page.evaluate(() => window.hacked), undefined)
  })
})

test('a projection is asked for, watched, cancelled and made', () =>
  viewing([text], async (page) => {
    await page.getByRole('button', { name: 'New…' }).click()
    await page.getByRole('button', { name: 'Compute' }).click()
    await page.getByRole('progressbar').waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('button', { name: 'Compute' }).waitFor({ timeout: 20_000 })
    await page.getByLabel('UMAP').waitFor()
    await page.locator('input[value=pca]').check()
    await page.getByRole('textbox', { name: 'name' }).fill('mine')
    await page.getByRole('button', { name: 'Compute' }).click()
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'mine', null, { timeout: 30_000 })
    assert.match(await page.locator('.counts').textContent(), /points shown/)
  }))

test('selections leave as CSV and JSON, views as PNG and SVG', () =>
  viewing([text], async (page) => {
    await page.evaluate(() => window.tomograph.marks.select([1, 2, 3], 'replace'))
    const saved = async (name) => {
      await page.locator('summary').click()
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()])
      return readFileSync(await download.path())
    }
    const csv = (await saved(/CSV/)).toString().trim().split('\n')
    assert.equal(csv.length, 4)
    assert.match(csv[0], /^row,component,layer,sequence,position,token,token_id,text,label,norm,axis1/)
    const json = JSON.parse(await saved(/JSON/))
    assert.deepEqual(json.rows.map((r) => r.row), [1, 2, 3])
    const png = await saved(/PNG/)
    assert.equal(png.subarray(1, 4).toString(), 'PNG')
    const svg = (await saved(/SVG/)).toString()
    assert.match(svg, /^<svg/)
    assert.ok(svg.split('<circle').length > 1000)
  }))

test('two runs: the second in the first one’s basis, with lines', async () => {
  const other = join(work, 'other')
  run('capture', 'bytes-gpt2', '--out', other, '--sequences', '12', '--exact')
  await viewing([text, other], async (page) => {
    await page.waitForFunction(() => window.tomograph.comparison.matched !== null)
    const state = await page.evaluate(() => ({ matched: window.tomograph.comparison.matched, n: window.tomograph.cloud.n, moved: window.tomograph.comparison.displacement }))
    assert.equal(state.matched, state.n)
    assert.ok(state.moved > 0 && state.moved < 1)
    await page.getByLabel('From the first run to the second').fill('1')
    await settle(page)
    await shoot(page, 'compare')
  })
})

test('the report opens from disk with the same cloud', async () => {
  const page = await open(shared.context, writtenReport() + '#p=pair')
  assert.deepEqual(page.complaints, [])
  assert.equal(await page.evaluate(() => window.tomograph.cloud.n), 12 * 128 * 8)
  await page.evaluate(() => window.tomograph.picking.pick(40))
  await page.waitForFunction(() => window.tomograph.picking.near?.map)
  assert.equal(await page.getByRole('button', { name: 'New…' }).count(), 0)
  await page.close()
})

test('the report is read without JavaScript, and without WebGL', async () => {
  for (const options of [{ context: { javaScriptEnabled: false } }, { args: ['--disable-3d-apis'] }]) {
    const browser = await launch(options)
    try {
      const page = await open(browser.context, writtenReport(), { cloud: false })
      await page.locator('#static th', { hasText: 'anisotropy' }).scrollIntoViewIfNeeded()
      assert.equal(await page.locator('#app').isVisible(), options.args !== undefined)
    } finally {
      await browser.stop()
    }
  }
})

test('without WebGL 2 the page says so', () =>
  viewing([text], async (page) => {
    await page.getByRole('heading', { name: 'No WebGL 2' }).waitFor()
  }, { cloud: false, mayComplain: true, launchOptions: { args: ['--disable-3d-apis'] } }))

test('a run that goes away is said to be gone', async () => {
  const gone = join(work, 'gone')
  cpSync(text, gone, { recursive: true })
  await viewing([gone], async (page) => {
    rmSync(gone, { recursive: true })
    await page.getByLabel('Projection', { exact: true }).selectOption('paths')
    await page.getByRole('alert').filter({ hasText: 'folder is gone' }).waitFor()
  }, { hash: '#p=pair', mayComplain: true })
})

test('a projection of no rows is said to be one', async () => {
  const empty = join(work, 'empty')
  cpSync(text, empty, { recursive: true })
  rmSync(join(empty, 'projections'), { recursive: true })
  synthesizeProjection(empty, 'none', 0)
  await viewing([empty], async (page) => {
    await page.getByText('No projection of this run has rows.').waitFor()
  }, { hash: '', cloud: false })
})

test('keyboard alone: points, camera, dialogs', () =>
  viewing([text], async (page) => {
    await page.locator('canvas.points').focus()
    await page.keyboard.press('n')
    await page.waitForFunction(() => window.tomograph.picking.picked === 0)
    await page.keyboard.press('n')
    await page.waitForFunction(() => window.tomograph.picking.picked === 1)
    const yaw = await page.evaluate(() => window.tomograph.scene.camera.pose.yaw)
    await page.keyboard.press('ArrowLeft')
    assert.notEqual(await page.evaluate(() => window.tomograph.scene.camera.pose.yaw), yaw)
    await page.keyboard.press('?')
    assert.ok(await page.locator('dialog.help[open]').count())
    await page.keyboard.press('Escape')
  }))

test('axe finds nothing serious, light and dark', async () => {
  const axe = readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
  for (const theme of ['light', 'dark'])
    await viewing([text], async (page) => {
      await page.evaluate(() => window.tomograph.picking.pick(40))
      await page.waitForFunction(() => window.tomograph.picking.near?.full)
      await shoot(page, `details-${theme}`)
      // Through the debugger, which the page's own policy does not bind.
      const session = await page.context().newCDPSession(page)
      await session.send('Runtime.evaluate', { expression: axe })
      const audit = async (where) => {
        const found = await page.evaluate(async () => {
          const { violations } = await window.axe.run(document)
          return violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`)
        })
        assert.deepEqual(found, [], where)
      }
      await audit('a picked point')
      await page.getByRole('button', { name: 'anisotropy' }).click()
      await page.getByRole('button', { name: 'Tour' }).click()
      await page.locator('summary').click()
      await page.getByLabel('Colour by').selectOption('token')
      await page.getByRole('button', { name: /^only / }).first().click()
      await audit('tour, menu, an opened finding, a filter')
      await page.getByRole('button', { name: 'New…' }).click()
      await audit('a new projection')
    }, { hash: `#p=pair&theme=${theme}` })
})

test('the lasso’s button serves mouse and keyboard, and Esc leaves no outline', () =>
  viewing([text], async (page) => {
    const outlined = () =>
      page.evaluate(() => {
        const c = document.querySelector('canvas.over')
        const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height)
        let blue = 0
        for (let i = 0; i < data.length; i += 4) if (data[i + 2] > data[i] + 60 && data[i + 3] > 100) ++blue
        return blue
      })
    const button = page.getByRole('button', { name: 'Lasso' })
    await page.keyboard.press('2')
    await settle(page)
    const { x, y, width, height } = await box(page)
    const draw = async () => {
      await page.mouse.move(x + 100, y + 100)
      await page.mouse.down()
      for (const [dx, dy] of [[0.8, 0.15], [0.8, 0.8], [0.2, 0.8]]) await page.mouse.move(x + dx * width, y + dy * height, { steps: 4 })
    }
    await button.click()
    await draw()
    await settle(page)
    assert.ok((await outlined()) > 50)
    await page.keyboard.press('Escape')
    await page.mouse.up()
    for (let i = 0; i < 20 && (await outlined()); ++i) await settle(page)
    assert.equal(await outlined(), 0)
    assert.equal(await page.evaluate(() => window.tomograph.marks.selectedCount), 0)
    await button.click()
    await draw()
    await page.mouse.up()
    await page.waitForFunction(() => window.tomograph.marks.selectedCount > 50)
    assert.equal(await button.getAttribute('aria-pressed'), 'false', 'one lasso, then the map moves again')
    await page.keyboard.press('Escape')
    // A square of 600 pixels around the middle, by keys alone.
    await page.keyboard.press('l')
    await page.getByText('set corners with Enter').waitFor()
    const walk = async (key, n) => {
      for (let i = 0; i < n; ++i) await page.keyboard.press(`Shift+${key}`)
      await page.keyboard.press('Enter')
    }
    await walk('ArrowLeft', 5)
    await walk('ArrowUp', 5)
    await walk('ArrowRight', 10)
    await walk('ArrowDown', 10)
    await walk('ArrowLeft', 10)
    const corners = [[-300, 0], [-300, -300], [300, -300], [300, 300], [-300, 300]].map(([dx, dy]) => [Math.min(width, Math.max(0, width / 2 + dx)), Math.min(height, Math.max(0, height / 2 + dy))])
    const expected = await bruteForce(page, corners)
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => window.tomograph.marks.selectedCount > 0)
    assert.ok(Math.abs((await page.evaluate(() => window.tomograph.marks.selectedCount)) - expected) <= 2)
  }))

test('a lasso that comes after Esc selects nothing', () =>
  viewing([text], async (page) => {
    const got = await page.evaluate(async () => {
      const v = window.tomograph
      const late = v.lasso(Float32Array.from([0, 0, 2000, 0, 2000, 2000, 0, 2000]), 'replace')
      v.clear()
      return [await late, v.marks.selectedCount]
    })
    assert.deepEqual(got, [0, 0])
  }))

test('what can do nothing says why', () =>
  viewing([text], async (page) => {
    await page.evaluate(() => window.tomograph.selectAt(99, 3, 'replace'))
    await page.getByText('No point of this map lies at layer 99').waitFor()
    await page.evaluate(() => window.tomograph.lasso(Float32Array.from([0, 0, 1, 0, 1, 1]), 'replace'))
    await page.locator('summary', { hasText: 'Export' }).click()
    assert.equal(await page.locator('details[open]').count(), 1)
    await page.locator('canvas.points').click({ position: { x: 5, y: 5 } })
    assert.equal(await page.locator('details[open]').count(), 0, 'the menu closes')
  }))

test('what was made anew meanwhile shows anew', async () => {
  const changing = join(work, 'changing')
  cpSync(text, changing, { recursive: true })
  await viewing([changing], async (page) => {
    const first = () => page.evaluate(() => window.tomograph.cloud.axis(0)[0])
    const before = await first()
    await page.evaluate(() => window.tomograph.marks.select([3], 'replace'))
    run('project', changing, '--name', 'pair', '--components', 'resid_post')
    run('project', changing, '--name', 'another', '--components', 'mlp_out')
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))
    await page.waitForFunction((x) => window.tomograph.cloud.axis(0)[0] !== x && !window.tomograph.loading, before)
    assert.deepEqual(await page.evaluate(() => [window.tomograph.cloud.components, window.tomograph.marks.selectedRows()]), [['resid_post'], [3]])
    assert.equal(await page.getByLabel('Projection', { exact: true }).locator('option', { hasText: 'another' }).count(), 1)
    // Not looked at again, but opened: the page notices by itself.
    run('project', changing, '--name', 'another', '--components', 'ln1')
    await page.getByLabel('Projection', { exact: true }).selectOption('another')
    await page.waitForFunction(() => window.tomograph.cloud.name === 'another')
    assert.deepEqual(await page.evaluate(() => window.tomograph.cloud.components), ['ln1'])
    run('capture', 'bytes-gpt2', '--out', changing, '--sequences', '3', '--force')
    run('project', changing, '--name', 'pair', '--components', 'attn_out')
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'pair' && window.tomograph.tokens?.n === 3 * 128)
  }, { mayComplain: true })
})

test('a control with other layer numbers says which layers they are', async () => {
  run('project', text, '--name', 'control', '--components', 'resid_post', '--positions', ':', '--layer-order', 'reversed')
  await viewing([text], async (page) => {
    await page.getByText('layer numbers reversed: a control').waitFor()
    await page.getByRole('button', { name: /^layer 0 \(is 3\)/ }).waitFor()
    // The heat map shows the model's layers: a click there selects those.
    await page.evaluate(() => window.tomograph.selectAt(3, 10, 'replace'))
    const sites = await page.evaluate(() => window.tomograph.marks.selectedRows().map((r) => [window.tomograph.cloud.site(r), window.tomograph.cloud.labels.layer[r]]))
    assert.equal(sites.length, 12)
    assert.ok(sites.every(([site, shown]) => site === 'blocks.3.resid_post' && shown === 0))
    await page.evaluate(() => window.tomograph.picking.pick(window.tomograph.marks.selectedRows()[0]))
    await page.locator('.head', { hasText: 'blocks.3.resid_post' }).waitFor()
    await page.getByRole('button', { name: 'Layer after' }).click()
    await page.locator('output', { hasText: 'layer 0 (is 3)' }).waitFor()
  }, { hash: '#p=control&color=layer' })
  rmSync(join(text, 'projections', 'control.json'))
  rmSync(join(text, 'projections', 'control.safetensors'))
})

test('a new map has the command line’s metric, and a name that is free', () =>
  viewing([text], async (page) => {
    await page.getByRole('button', { name: 'New…' }).click()
    const help = execFileSync(binary, ['project', '--help'], { encoding: 'utf8' })
    const metric = /--metric \S+=(\w+)/.exec(help)[1]
    assert.equal(await page.getByLabel('metric').inputValue(), metric)
    await page.getByLabel('name', { exact: false }).fill('pair')
    await page.getByRole('alert').filter({ hasText: 'already' }).waitFor()
    assert.ok(await page.getByRole('button', { name: 'Compute' }).isDisabled())
    await page.getByRole('button', { name: 'Close' }).click()
  }))

test('the page’s own code is small', async () => {
  const server = await serve(text)
  try {
    let bytes = 0
    for (const file of ['', 'viewer.js', 'viewer.css']) bytes += gzipSync(Buffer.from(await (await fetch(server.url + file)).arrayBuffer())).length
    assert.ok(bytes > 50_000 && bytes < 900_000, `${bytes} bytes`)
  } finally {
    server.stop()
  }
})

// --- run them ----------------------------------------------------------------------------------------------------------

const shared = await launch()
let failed = 0
try {
  for (const { name, body } of tests) {
    if (only && !name.includes(only)) continue
    const began = Date.now()
    try {
      await body()
      console.log(`ok   ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`)
    } catch (error) {
      ++failed
      console.log(`FAIL ${name}\n${error.stack}`)
      const page = shared.context.pages().at(-1)
      if (page?.complaints?.length) console.log(page.complaints)
      if (page && shots) await page.screenshot({ path: join(shots, `failed-${failed}.png`) }).catch(() => {})
      for (const left of shared.context.pages().slice(1)) await left.close()
    }
  }
} finally {
  await shared.stop()
  rmSync(work, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)
