// Other rows on the axes of the map in view, chosen without a dialog.
import assert from 'node:assert/strict'
import { open } from './browser.mjs'
import { LOOKS, looksRight, settle, shared, shoot, test, text, viewing, writtenReport } from './harness.mjs'

const panel = (page) => page.getByRole('region', { name: 'On these axes' })
const component = (page, name) => panel(page).getByRole('button', { name, exact: true })
const shown = (page, name) => page.waitForFunction((name) => window.tomograph.cloud?.name === name && !window.tomograph.loading, name, { timeout: 20_000 })
/** Places of a site's tokens in the picture's world. */
const places = (page, site) =>
  page.evaluate((site) => {
    const { cloud, places } = window.tomograph
    const out = {}
    for (let i = 0; i < cloud.n; ++i) if (cloud.site(i) === site) out[cloud.labels.token[i]] = Array.from(places.positions.subarray(3 * i, 3 * i + 3))
    return out
  }, site)
const pose = (page) => page.evaluate(() => JSON.stringify(window.tomograph.scene.camera.pose))

test('another component or layer on the axes in view: from the same place, told in words, and back', () =>
  viewing([text], async (page, server) => {
    await page.getByLabel('Colour by').selectOption('position')
    await page.keyboard.press('+')
    await page.locator('canvas.points').focus()
    await page.keyboard.press('+')
    await settle(page)
    const before = await pose(page)
    const own = await places(page, 'blocks.2.resid_post')
    assert.equal(await component(page, 'resid_post').getAttribute('aria-pressed'), 'true')
    await component(page, 'mlp_out').click()
    await shown(page, 'paths@mlp_out,resid_post@0:')
    assert.deepEqual(await page.evaluate(() => window.tomograph.cloud.components), ['mlp_out', 'resid_post'])
    const again = await places(page, 'blocks.2.resid_post')
    assert.deepEqual(Object.keys(again), Object.keys(own))
    for (const [token, place] of Object.entries(own)) place.forEach((v, k) => assert.ok(Math.abs(v - again[token][k]) < 1e-3, `${place} ${again[token]}`))
    await component(page, 'resid_post').click()
    await shown(page, 'paths@mlp_out@0:')
    await panel(page).getByLabel('layers').selectOption('layer 2')
    await shown(page, 'paths@mlp_out@2')
    assert.equal(await pose(page), before, 'the camera stays')
    assert.equal(await page.evaluate(() => window.tomograph.colors.coloring), 'position')
    const words = (await panel(page).getByRole('status').textContent()).replace(/\s+/g, ' ')
    assert.match(words, /points of mlp_out of layer 2, laid out through the axes that were fitted to resid_post of all layers\. The axes in view hold [\d.]+ % of these points’ variance, and [\d.]+ % of what they were fitted to\./)
    await page.getByText('mlp_out of layer 2 on the axes of paths').waitFor()
    await page.getByText('On the axes of paths, a PCA of other rows:').waitFor()
    // The whole page works on them: the nearest in the full space are of their own kind.
    await page.evaluate(() => window.tomograph.picking.pick(3))
    await page.waitForFunction(() => window.tomograph.picking.near?.full)
    await settle(page)
    await shoot(page, 'axes-other')
    await page.waitForTimeout(400) // the address follows when nothing has changed for a while
    const { hash } = new URL(page.url())
    await panel(page).getByRole('button', { name: 'Back to paths' }).click()
    await shown(page, 'paths')
    assert.equal(await pose(page), before)
    await page.waitForTimeout(400)
    await page.goBack()
    await shown(page, 'paths@mlp_out@2')
    const inWorld = await places(page, 'blocks.2.mlp_out')
    // A link brings them back, on the same axes and in the same world.
    await page.goto('about:blank')
    await page.goto(server.url + hash)
    await shown(page, 'paths@mlp_out@2')
    assert.deepEqual(await places(page, 'blocks.2.mlp_out'), inWorld)
    const [was, is] = [before, await pose(page)].map((text) => JSON.parse(text))
    for (const key of ['x', 'y', 'z', 'reach']) assert.ok(Math.abs(was[key] - is[key]) < 1e-3, `${key}: ${was[key]} ${is[key]}`)
    await page.getByLabel('Projection', { exact: true }).selectOption('pair')
    await shown(page, 'pair')
    await component(page, 'attn_out').click()
    await shown(page, 'pair@mlp_out@0:')
    await component(page, 'mlp_out').click()
    await page.getByText('One component at least is shown.').waitFor()
  }, { hash: '#p=paths&theme=light' }))

test('rows that the run lacks, and reports: one line, and no panel', async () => {
  await viewing([text], async (page) => {
    await page.evaluate(() => window.tomograph.openProjection('paths@mlp_out@9'))
    await page.getByRole('alert').filter({ hasText: 'layer' }).waitFor()
    await page.getByLabel('Projection', { exact: true }).selectOption('pair')
    await shown(page, 'pair')
  }, { hash: '#p=paths', mayComplain: true })
  const page = await open(shared.context, writtenReport())
  assert.equal(await panel(page).count(), 0)
  await page.close()
})

test('other rows: axe finds nothing serious, at every size', async () => {
  for (const [theme, width, height] of LOOKS)
    await viewing([text], async (page) => {
      await page.setViewportSize({ width, height })
      await page.evaluate(() => window.tomograph.showOthers('paths@mlp_out@2'))
      await shown(page, 'paths@mlp_out@2')
      await looksRight(page, `axes-${theme}-${width}`)
      await page.setViewportSize({ width: 1440, height: 900 })
    }, { hash: `#p=paths&theme=${theme}` })
})
