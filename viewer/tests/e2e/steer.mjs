// A prompt steered from one selection to another, beside itself as it is.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { LOOKS, looksRight, run, settle, shoot, test, text, viewing } from './harness.mjs'
import { chips, laid, painted, read, second, typed } from './typing.mjs'

const panel = (page) => page.getByRole('region', { name: 'Steer the prompt' })
/** Selects the first so many tokens' points of a site that lie at positions from `begin` on. */
const select = (page, site, begin, many) =>
  page.evaluate(([site, begin, many]) => {
    const { cloud, marks } = window.tomograph
    const rows = []
    for (let i = 0; i < cloud.n && rows.length < many; ++i) if (cloud.site(i) === site && cloud.labels.position[i] >= begin) rows.push(i)
    marks.select(rows, 'replace')
  }, [site, begin, many])

test('from the rest to a selection: the steered path, the next words, their norms and a control', () =>
  viewing([text, ...typed], async (page) => {
    await select(page, 'blocks.1.resid_post', 100, 60)
    await panel(page).getByText('to 60 points selected').waitFor()
    await panel(page).getByRole('button', { name: 'Read steered' }).click()
    await panel(page).getByRole('alert').filter({ hasText: 'Read a prompt first' }).waitFor()
    await read(page, 'The old ship')
    await panel(page).getByLabel('Strength').fill('4')
    await panel(page).getByRole('button', { name: 'Read steered' }).click()
    await laid(page, 2)
    await panel(page).getByText('The next word moves by').waitFor()
    const words = (await panel(page).textContent()).replace(/\s+/g, ' ')
    assert.match(words, /From the other [\d,]+ points shown to 60 points selected: the difference of their means is added at blocks\.1\.resid_post, to every token but the first/)
    assert.match(words, /Added: [\d.]+ long at blocks\.1\.resid_post, [\d.]+ % of the points’ mean norm\. A half of them tells [\d.]+ % of the other half’s pairs apart/)
    assert.match(words, /The next word moves by [\d.e-]+ nats; in 5 random directions as long by [\d.e-]+ on average/)
    assert.match(words, /Norm at layer 3, resid_post: [\d.]+ as it is, [\d.]+ steered/)
    const table = panel(page).getByRole('table', { name: 'Next words' })
    assert.equal(await table.locator('tbody tr').count(), 5)
    await settle(page)
    assert.ok((await painted(page, second)) > 50, 'the steered path is drawn')
    await page.getByText('the steered prompt, from layer to layer').waitFor()
    // Nothing of it is lost without a word.
    const beyond = async () => Number((await page.locator('.counts').textContent()).match(/([\d,]+) places? of the prompts beyond the edges/)?.[1].replace(',', '') ?? 0)
    const before = await beyond()
    await page.evaluate(() => { const v = window.tomograph; v.scene.camera.pose.reach /= 8; v.redraw() })
    await settle(page)
    assert.ok((await beyond()) > before)
    await page.evaluate(() => window.tomograph.home())
    assert.equal(await chips(page, 'the steered prompt').count(), 12)
    // They part at the site and no sooner, and the first token nowhere.
    const apart = () => page.evaluate(() => window.tomograph.live.apart.map((a) => [a.layer, a.distance]))
    await page.waitForFunction(() => window.tomograph.live.apart)
    const last = new Map(await apart())
    assert.ok(last.get(0) < 1e-6 && last.get(1) > 0.01, JSON.stringify([...last]))
    await shoot(page, 'steer')
    // Another strength takes its place; the other way round is another prompt.
    await panel(page).getByLabel('Strength').fill('-4')
    await panel(page).getByRole('button', { name: 'Read steered' }).click()
    await page.waitForFunction(() => window.tomograph.live.prompts[1]?.steered.strength === -4 && window.tomograph.steering.effect, null, { timeout: 20_000 })
    assert.equal(await page.evaluate(() => window.tomograph.live.prompts.length), 2)
    await page.getByRole('button', { name: 'Drop the steered prompt' }).click()
    await laid(page, 1)
  }, { hash: '#p=paths&theme=light' }))

test('from one selection to another, at a site of several', () =>
  viewing([text, ...typed], async (page) => {
    await read(page, 'The old ship')
    const both = async (begin) => {
      await select(page, 'blocks.2.mlp_out', begin, 40)
      await page.evaluate((begin) => {
        const { cloud, marks } = window.tomograph
        const rows = []
        for (let i = 0; i < cloud.n && rows.length < 20; ++i) if (cloud.site(i) === 'blocks.2.attn_out' && cloud.labels.position[i] >= begin) rows.push(i)
        marks.select(rows, 'add')
      }, begin)
    }
    await both(5)
    await panel(page).getByRole('button', { name: 'Lead away from these' }).click()
    await panel(page).getByText('60 points kept aside. Now select the points to lead to.').waitFor()
    await both(90)
    await panel(page).getByText('From 40 points kept aside to 40 points selected').waitFor()
    await panel(page).getByLabel('Site to steer at').selectOption('blocks.2.attn_out')
    await panel(page).getByText('From 20 points kept aside to 20 points selected').waitFor()
    await panel(page).getByRole('button', { name: 'Read steered' }).click()
    await panel(page).getByText('long at blocks.2.attn_out').waitFor()
    assert.deepEqual(await page.evaluate(() => [window.tomograph.steering.direction.toward, window.tomograph.steering.direction.away]), [20, 20])
    await panel(page).getByRole('button', { name: 'From the rest instead' }).click()
    await panel(page).getByText('From the other').waitFor()
  }, { hash: '#p=pair&theme=light' }))

test('where a prompt cannot be steered, one line says why', async () => {
  await viewing([text, ...typed], async (page) => {
    assert.equal(await panel(page).count(), 0)
    await select(page, 'blocks.1.resid_post', 100, 2)
    await panel(page).getByText('Only 2 of the selected points are of blocks.1.resid_post: 4 at least are needed.').waitFor()
    assert.equal(await panel(page).getByRole('button', { name: 'Read steered' }).count(), 0)
    await page.keyboard.press('Escape')
    assert.equal(await panel(page).count(), 0)
    // Of averages neither what would be added nor what would be kept aside.
    run('project', text, '--name', 'means', '--components', 'resid_post', '--mean', 'samples')
    await page.evaluate(() => window.tomograph.refresh())
    await page.getByLabel('Projection', { exact: true }).selectOption('means')
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'means' && !window.tomograph.loading)
    await select(page, 'blocks.1.resid_post', 1, 9)
    await panel(page).getByText('The points of this map are averages').waitFor()
    assert.equal(await panel(page).getByRole('button').count(), 0)
    assert.equal(await panel(page).getByText('the difference of their means').count(), 0)
    for (const ending of ['json', 'safetensors']) rmSync(join(text, 'projections', `means.${ending}`))
  }, { hash: '#p=paths' })
  await viewing([text], async (page) => {
    await select(page, 'blocks.1.resid_post', 100, 9)
    await page.getByText('With a model (tomograph view text --model MODEL) a prompt can be steered toward these points.').waitFor()
    assert.equal(await panel(page).count(), 0)
  }, { hash: '#p=paths' })
})

test('steering: axe finds nothing serious, at every size', async () => {
  for (const [theme, width, height] of LOOKS)
    await viewing([text, ...typed], async (page) => {
      await page.setViewportSize({ width, height })
      await read(page, 'The old ship')
      await select(page, 'blocks.1.resid_post', 100, 60)
      await panel(page).getByLabel('Strength').fill('4')
      await panel(page).getByRole('button', { name: 'Read steered' }).click()
      await laid(page, 2)
      await panel(page).getByText('The next word moves by').waitFor()
      await panel(page).scrollIntoViewIfNeeded()
      await looksRight(page, `steer-${theme}-${width}`)
      await page.setViewportSize({ width: 1440, height: 900 })
    }, { hash: `#p=paths&theme=${theme}` })
})
