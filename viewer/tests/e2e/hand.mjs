// Keys, buttons and what is said.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { binary, open, serve } from './browser.mjs'
import { box, bruteForce, run, settle, test, text, viewing, work } from './harness.mjs'

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
    await page.evaluate(() => window.tomograph.jumps.selectAt(99, 3, 'replace'))
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
    await page.evaluate(() => window.tomograph.jumps.selectAt(3, 10, 'replace'))
    const sites = await page.evaluate(() => window.tomograph.marks.selectedRows().map((r) => [window.tomograph.cloud.site(r), window.tomograph.cloud.labels.layer[r]]))
    assert.equal(sites.length, 12)
    assert.ok(sites.every(([site, shown]) => site === 'blocks.3.resid_post' && shown === 0))
    await page.evaluate(() => window.tomograph.picking.pick(window.tomograph.marks.selectedRows()[0]))
    await page.locator('.head', { hasText: 'blocks.3.resid_post' }).waitFor()
    await page.getByRole('row', { name: '3 of the model, shown as layer 0' }).waitFor()
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
    await page.getByRole('textbox', { name: 'name' }).fill('pair')
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

test('the browser’s Back is undo', () =>
  viewing([text], async (page) => {
    const linked = (what) => page.waitForFunction((what) => location.hash.includes(what), what)
    await linked('color=component')
    await page.getByLabel('Colour by').selectOption('layer')
    await linked('color=layer')
    await page.evaluate(() => window.tomograph.marks.select(Array.from({ length: 5000 }, (_, i) => i), 'replace'))
    await page.waitForTimeout(500)
    await page.evaluate(() => window.tomograph.picking.pick(40))
    await linked('pick=40')
    await page.keyboard.press('Escape')
    await page.waitForFunction(() => !location.hash.includes('pick='))
    await page.goBack()
    await page.waitForFunction(() => window.tomograph.picking.picked === 40 && window.tomograph.marks.selectedCount === 5000)
    await page.waitForTimeout(400)
    await page.goBack()
    await page.waitForFunction(() => window.tomograph.picking.picked < 0 && window.tomograph.marks.selectedCount === 5000)
    await page.waitForTimeout(400)
    // Turning the map is no step.
    await page.mouse.move(600, 400)
    await page.mouse.down()
    await page.mouse.move(700, 420, { steps: 4 })
    await page.mouse.up()
    await page.waitForTimeout(500)
    await page.goBack()
    await page.waitForFunction(() => window.tomograph.marks.selectedCount === 0 && window.tomograph.colors.coloring === 'layer')
    await page.waitForTimeout(400)
    await page.goForward()
    await page.waitForFunction(() => window.tomograph.marks.selectedCount === 5000)
    await page.waitForTimeout(400)
    await page.getByLabel('Projection', { exact: true }).selectOption('paths')
    await linked('p=paths')
    await page.goBack()
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'pair' && window.tomograph.marks.selectedCount === 5000)
  }))

test('a projection made in one tab is listed in the others', async () => {
  const tabs = join(work, 'tabs')
  cpSync(text, tabs, { recursive: true })
  await viewing([tabs], async (page, server) => {
    const other = await open(page.context(), server.url + '#p=pair')
    const made = { name: 'elsewhere', method: 'pca', dims: 3, metric: 'cosine', n_neighbors: 15, min_dist: 0.1, selection: { components: ['ln1'], layers: ':', positions: '1:', normalize: 'none', mean: [], rows: 500 } }
    assert.ok(await page.evaluate((made) => window.tomograph.makeProjection(made), made))
    await other.locator('option', { hasText: 'elsewhere' }).waitFor({ state: 'attached', timeout: 5000 })
    assert.equal(await other.evaluate(() => window.tomograph.cloud.name), 'pair')
    await other.close()
  })
})

test('two fingers zoom and move, and are neither lasso nor click', () =>
  viewing([text], async (page) => {
    await page.keyboard.press('2')
    await settle(page)
    const { x, y } = await box(page)
    const cdp = await page.context().newCDPSession(page)
    const pose = () => page.evaluate(() => ({ ...window.tomograph.scene.camera.pose }))
    const fingers = (type, points) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([px, py], id) => ({ x: x + px, y: y + py, id })) })
    /** The map's own place under a pixel, in 2-D. */
    const under = ({ x: cx, y: cy, reach }, height, width, [px, py]) => [cx + ((px - width / 2) * 2 * reach) / height, cy - ((py - height / 2) * 2 * reach) / height]
    const { width, height } = await box(page)
    const before = await pose()
    await fingers('touchStart', [[300, 300]])
    await fingers('touchStart', [[300, 300], [400, 300]])
    await fingers('touchMove', [[250, 340], [400, 300]])
    await fingers('touchMove', [[250, 340], [450, 340]])
    await fingers('touchEnd', [])
    const after = await pose()
    assert.ok(Math.abs(before.reach / after.reach - 2) < 0.05, `twice as large: ${before.reach / after.reach}`)
    const [a, b] = [under(before, height, width, [350, 300]), under(after, height, width, [350, 340])]
    assert.ok(Math.hypot(a[0] - b[0], a[1] - b[1]) < 0.04 * after.reach, `what lay between the fingers stays there: ${a}, ${b}`)
    assert.deepEqual(await page.evaluate(() => [window.tomograph.marks.selectedCount, window.tomograph.picking.picked]), [0, -1])
  }))

test('a search names the tokens it found, tells a space from none, and says that it looked at a sample', async () => {
  await viewing([text], async (page) => {
    await page.locator('#search').fill('w')
    await page.locator('.match', { hasText: /^w$/ }).waitFor()
    const found = await page.evaluate(() => window.tomograph.marks.found)
    await page.locator('.match', { hasText: /^w$/ }).click()
    assert.equal(await page.locator('#search').inputValue(), '"w"')
    assert.ok((await page.evaluate(() => window.tomograph.marks.found)) < found)
  })
  run('project', text, '--name', 'few', '--components', 'attn_out', '--rows', '300')
  await viewing([text], async (page) => {
    await page.locator('#search').fill('e')
    await page.getByText(/points found, among the 300 that this map holds of 6,144/).waitFor()
  }, { hash: '#p=few' })
  for (const ending of ['json', 'safetensors']) rmSync(join(text, 'projections', `few.${ending}`))
})

test('neighbours show that they are searched for', () =>
  viewing([text], async (page) => {
    let answer
    await page.route('**/nearest?*', async (route) => {
      await new Promise((r) => (answer = r))
      await route.continue()
    })
    await page.evaluate(() => void window.tomograph.picking.pick(40))
    await page.locator('.searching', { hasText: 'searching 12,288' }).waitFor()
    await page.waitForFunction(() => window.tomograph.picking.near?.map)
    answer()
    await page.waitForFunction(() => window.tomograph.picking.near?.full)
    assert.equal(await page.locator('.searching').count(), 0)
  }))

test('on a phone, everything is within the page’s width', () =>
  viewing([text], async (page) => {
    await page.setViewportSize({ width: 390, height: 844 })
    await page.evaluate(() => window.tomograph.picking.pick(40))
    await page.waitForFunction(() => window.tomograph.picking.near?.full)
    const wide = () => page.evaluate(() => document.documentElement.scrollWidth)
    assert.equal(await wide(), 390)
    await page.locator('.card').getByRole('button', { name: 'Details' }).click()
    await page.waitForFunction(() => { const { top, bottom } = document.getElementById('details-title').getBoundingClientRect(); return top >= 0 && bottom <= innerHeight })
    await page.locator('summary').click()
    const fits = async (what) => {
      const { x, y, width, height } = await what.boundingBox()
      assert.ok(x >= 0 && x + width <= 390 && y >= 0 && height <= 844, JSON.stringify({ x, y, width, height }))
    }
    await fits(page.locator('.menu > div'))
    await page.locator('summary').click()
    for (const [button, dialog] of [['New…', 'New projection'], ['Keys and help', 'Keys']]) {
      await page.getByRole('button', { name: button }).click()
      await fits(page.getByRole('dialog', { name: dialog }))
      await page.getByRole('button', { name: 'Close' }).last().click()
    }
    await page.setViewportSize({ width: 1440, height: 900 })
  }))
