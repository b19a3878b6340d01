// Every panel in light, dark, wide and on a phone: axe finds nothing serious, nothing is cut or hangs over the edge.
import assert from 'node:assert/strict'
import { open } from './browser.mjs'
import { LOOKS, looksRight, settle, shared, test, text, viewing, writtenReport } from './harness.mjs'

test('panels: axe finds nothing serious, at every size', async () => {
  for (const [theme, width, height] of LOOKS)
    await viewing([text], async (page) => {
      const look = (what) => looksRight(page, `${what}-${theme}-${width}`)
      await page.setViewportSize({ width, height })
      await settle(page)
      await page.evaluate(() => window.tomograph.home())
      await page.evaluate(() => window.tomograph.picking.pick(40))
      await page.waitForFunction(() => window.tomograph.picking.near?.full && window.tomograph.picking.near.map)
      await look('details')
      await page.getByRole('button', { name: 'anisotropy' }).click()
      await page.getByRole('button', { name: 'Tour' }).click()
      await page.getByLabel('Colour by').selectOption('token')
      await page.getByRole('button', { name: /^only / }).first().click()
      await page.locator('aside.right').evaluate((aside) => aside.scrollTo(0, aside.scrollHeight))
      await look('tour')
      await page.getByRole('button', { name: 'End', exact: true }).click()
      await page.locator('summary').click()
      await look('menu')
      await page.locator('summary').click()
      for (const [button, dialog] of [['New…', 'new'], ['Keys and help', 'keys']]) {
        await page.getByRole('button', { name: button }).click()
        await look(dialog)
        await page.keyboard.press('Escape')
      }
      await page.getByLabel('Search tokens').fill('e')
      await page.getByText(/points found/).waitFor()
      await page.getByLabel('Projection', { exact: true }).selectOption('paths')
      await page.waitForFunction(() => window.tomograph.cloud?.name === 'paths' && !window.tomograph.loading)
      await page.getByRole('button', { name: 'side by side' }).click()
      await page.getByLabel('Search tokens').fill('w')
      await page.getByText(/points found/).waitFor()
      await look('beside')
      await page.setViewportSize({ width: 1440, height: 900 })
    }, { hash: `#p=pair&theme=${theme}` })
})

test('the report: axe finds nothing serious, at every size', async () => {
  for (const [theme, width, height] of LOOKS) {
    const page = await open(shared.context, `${writtenReport()}#theme=${theme}`)
    await page.setViewportSize({ width, height })
    await looksRight(page, `report-${theme}-${width}`)
    assert.deepEqual(page.complaints, [])
    await page.setViewportSize({ width: 1440, height: 900 })
    await page.close()
  }
})
