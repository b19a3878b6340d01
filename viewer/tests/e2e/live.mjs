// Prompts that are typed in: read, drawn, compared, kept; and what can go wrong with them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { binary, launch, open, serve } from './browser.mjs'
import { LOOKS, looksRight, run, settle, shoot, shared, test, text, viewing, work } from './harness.mjs'
import { chips, first, laid, line, painted, panel, read, second, typed } from './typing.mjs'

test('a text that the run has read lies on its own points, drawn from layer to layer', () =>
  viewing([text, ...typed], async (page) => {
    // Of the third sequence, as the run holds it: what the page itself was sent.
    const words = await page.evaluate(() => {
      const { tokens } = window.tomograph.cloud
      return Array.from({ length: 24 }, (_, i) => tokens.piece(tokens.starts[2] + i)).join('').replaceAll('\\n', '\n')
    })
    await read(page, words)
    const apart = await page.evaluate(() => {
      const v = window.tomograph
      const { cloud, positions } = v.live.laid[0]
      let most = 0
      let n = 0
      for (let row = 0; row < cloud.n; ++row) {
        const own = v.cloud.find(cloud.components[cloud.labels.component[row]], cloud.labels.layer[row], v.cloud.tokens.starts[2] + cloud.labels.token[row])
        if (own < 0) continue
        ++n
        for (let k = 0; k < 3; ++k) most = Math.max(most, Math.abs(positions[3 * row + k] - v.places.positions[3 * own + k]))
      }
      return { n, most }
    })
    assert.ok(apart.n > 24 && apart.most < 5e-3, JSON.stringify(apart))
    assert.equal((await chips(page).allTextContents()).join(''), words.replaceAll(' ', '·').replaceAll('\n', '⏎'))
    await settle(page)
    const all = await painted(page, first)
    assert.ok(all > 200, `${all} pixels`)
    await page.getByText('the prompt, from layer to layer').waitFor()
    await panel(page).getByText('words are the model’s').waitFor()
    await shoot(page, 'live')
  }, { hash: '#p=paths&theme=light' }))

test('a token alone: its way, its words by layer, its nearest in the run, which can be picked', () =>
  viewing([text, ...typed], async (page) => {
    await read(page, 'The old ship sailed')
    await settle(page)
    const all = await painted(page, first)
    await chips(page).nth(9).click()
    assert.equal(await chips(page).nth(9).getAttribute('aria-pressed'), 'true')
    await panel(page).getByRole('heading', { name: 'Prompt: token 10 of 19' }).waitFor()
    await panel(page).getByRole('heading', { name: 'Nearest in the run, layer 3' }).waitFor()
    const near = panel(page).locator('button.near')
    await near.first().waitFor()
    assert.equal(await near.count(), 10)
    await settle(page)
    assert.ok((await painted(page, first)) < all)
    assert.equal(await panel(page).locator('.words tr').count(), 4)
    await panel(page).getByRole('button', { name: '1', exact: true }).click()
    await panel(page).getByRole('heading', { name: 'Nearest in the run, layer 1' }).waitFor()
    await near.first().click()
    await page.waitForFunction(() => window.tomograph.picking.picked >= 0 && window.tomograph.cloud.labels.layer[window.tomograph.picking.picked] >= 0)
    await page.keyboard.press('Escape')
    assert.equal(await chips(page).nth(9).getAttribute('aria-pressed'), 'false')
    await page.keyboard.press(']')
    await settle(page)
    await page.keyboard.press('Space')
    await page.waitForFunction(() => window.tomograph.playback.playing)
    await page.waitForFunction(() => !window.tomograph.playback.playing, null, { timeout: 20_000 })
    await page.getByRole('button', { name: 'side by side' }).click()
    await settle(page)
    assert.ok((await painted(page, first)) > 50, 'in each layer’s picture')
  }, { hash: '#p=paths&theme=light' }))

test('a second prompt beside the first, and how they part by layer', () =>
  viewing([text, ...typed], async (page) => {
    await read(page, 'The old ship')
    await read(page, 'The old boat', 2)
    await settle(page)
    assert.ok((await painted(page, first)) > 50 && (await painted(page, second)) > 50)
    const chart = panel(page).getByRole('img', { name: /^Distance by layer/ })
    await chart.waitFor()
    assert.equal(await chart.locator('rect').count(), 4)
    await panel(page).getByRole('heading', { name: 'From p to t, by layer' }).waitFor()
    await chips(page, 'the prompt').nth(3).click()
    await chips(page, 'the second prompt').nth(4).click()
    await panel(page).getByRole('heading', { name: 'From · to o, by layer' }).waitFor()
    await chart.waitFor()
    await shoot(page, 'live-two')
    // Another map: both lie on it, too.
    await page.getByLabel('Projection', { exact: true }).selectOption('pair')
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'pair')
    await laid(page, 2)
    assert.deepEqual(await page.evaluate(() => window.tomograph.live.laid.map((l) => l.cloud.components.length)), [2, 2])
    await panel(page).getByRole('combobox').selectOption('mlp_out')
    await page.getByRole('button', { name: 'Drop the prompt' }).click()
    await laid(page, 1)
    assert.deepEqual(await chips(page).allTextContents(), [...'The·old·boat'])
    await read(page, 'anew')
    assert.equal(await page.evaluate(() => window.tomograph.live.prompts.length), 1)
  }, { hash: '#p=paths&theme=light' }))

test('a UMAP takes prompts by their neighbours and says so', () =>
  viewing([text, ...typed], async (page) => {
    if (!existsSync(join(text, 'projections', 'near.json'))) run('project', text, '--name', 'near', '--method', 'umap', '--components', 'mlp_out', '--positions', '1:', '--rows', '600')
    await page.evaluate(() => window.tomograph.refresh())
    await page.getByLabel('Projection', { exact: true }).selectOption('near')
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'near' && !window.tomograph.loading)
    await read(page, 'The ship')
    await panel(page).getByText('each point stands where its 5 nearest of the map stand').waitFor()
    await panel(page).getByText('the map is of positions 1: only').waitFor()
  }))

test('a conversation is written out by the template', () =>
  viewing([text, ...typed], async (page) => {
    await page.getByLabel('chat').check()
    await page.getByRole('textbox', { name: 'What the user says' }).fill('Who?')
    await page.keyboard.press('Enter')
    await laid(page)
    assert.deepEqual(await chips(page).allTextContents(), [...'[Who?]>'])
    await chips(page).nth(1).click()
    await panel(page).getByText('user').waitFor()
  }))

test('a conversation of several messages is read as one, and can be changed', () =>
  viewing([text, ...typed], async (page) => {
    await page.getByLabel('chat').check()
    const says = (role) => page.getByRole('textbox', { name: `What the ${role} says` })
    await page.getByLabel('Who says it').selectOption('system')
    await says('system').fill('Be kind.')
    await page.getByRole('button', { name: '+ message' }).click()
    await says('user').fill('Who?')
    await page.getByRole('button', { name: '+ message' }).click()
    await says('assistant').fill('I.')
    await page.getByRole('button', { name: '+ message' }).click()
    await says('user').fill('And?')
    await page.keyboard.press('Enter')
    await laid(page)
    assert.deepEqual((await chips(page).allTextContents()).join(''), '[Be·kind.][Who?][I.][And?]>')
    await chips(page).nth(1).click()
    await panel(page).getByText('system').waitFor()
    await chips(page).nth(18).click()
    await panel(page).getByText('assistant').waitFor()
    await shoot(page, 'live-chat')
    await page.getByRole('button', { name: 'Take message 1 out' }).click()
    await page.getByRole('textbox', { name: 'Message 1', exact: true }).fill('Where?')
    await says('user').press('Enter')
    await page.waitForFunction(() => !window.tomograph.live.busy && window.tomograph.live.prompts[0].tokens.length === 19)
    assert.deepEqual((await chips(page).allTextContents()).join(''), '[Where?][I.][And?]>')
  }))

test('a prompt that is kept is a run', () =>
  viewing([text, ...typed], async (page) => {
    await read(page, 'keep me')
    await page.getByRole('textbox', { name: 'Folder for this prompt' }).fill('kept-prompt')
    await page.getByRole('button', { name: 'Keep as a run' }).click()
    await page.getByText(`tomograph view ${join(work, 'kept-prompt')}`).waitFor()
    assert.match(execFileSync(binary, ['info', join(work, 'kept-prompt')]).toString(), /7 tokens/)
    await page.getByRole('button', { name: 'Keep as a run' }).click()
    await page.getByRole('alert').waitFor()
  }, { mayComplain: true }))

test('bad prompts get one clear line, and the next one is read', () =>
  viewing([text, ...typed], async (page) => {
    const refused = async (words, saying) => {
      await line(page).evaluate((area, words) => { area.value = words; area.dispatchEvent(new Event('input')) }, words)
      await page.getByRole('button', { name: 'Read', exact: true }).click()
      await page.getByRole('alert').filter({ hasText: saying }).waitFor({ timeout: 20_000 })
      assert.equal(await page.getByRole('alert').count(), 1)
      assert.equal(await page.evaluate(() => window.tomograph.live.busy), false)
    }
    await refused('  ', 'The prompt is empty')
    await refused('a'.repeat(300), 'the prompt has 300 tokens: 128 are read at most; shorten it')
    await refused('bell \u0007 here', 'the prompt holds a control character, \\x07')
    await refused('x'.repeat(3_000_000), 'too long to be sent')
    await read(page, 'and now this')
    assert.equal(await page.getByRole('alert').count(), 0)
    assert.equal(await chips(page).count(), 12)
  }, { mayComplain: true }))

test('of two tabs the second is told that one is under way; a prompt can be cancelled', () =>
  viewing([text, ...typed], async (page, server) => {
    const other = await open(shared.context, server.url + '#p=pair')
    // As many at once as a hand never starts: one is read, the others are told.
    const answers = await page.evaluate(() =>
      Promise.all(
        Array.from({ length: 12 }, () =>
          fetch('api/live', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ run: 0, text: 'a'.repeat(128) }) }).then(async (r) => [r.status, (await r.json()).error ?? '']),
        ),
      ),
    )
    assert.ok(answers.some(([status]) => status === 202))
    for (const [status, error] of answers) assert.ok(status === 202 || (status === 409 && error.startsWith('another prompt is being read')), `${status} ${error}`)
    await read(other, 'the other tab')
    await line(page).fill('b'.repeat(128))
    await page.evaluate(() => { const { live } = window.tomograph; void live.read(window.tomograph.run, 'b'.repeat(128), false); return live.cancel() })
    await page.waitForFunction(() => !window.tomograph.live.busy, null, { timeout: 20_000 })
    await read(page, 'after it')
    await other.close()
  }, { mayComplain: true }))

test('a server that dies while a prompt is read is said to be gone', () =>
  viewing([text, ...typed], async (page, server) => {
    await line(page).fill('last words')
    server.child.kill('SIGKILL')
    await page.getByRole('button', { name: 'Read', exact: true }).click()
    await page.getByRole('alert').filter({ hasText: 'the server does not answer: was tomograph view stopped?' }).waitFor()
    assert.equal(await page.evaluate(() => window.tomograph.live.busy), false)
  }, { mayComplain: true }))

test('without a model there is no line; without WebGL there is one, and its answers', async () => {
  await viewing([text], async (page) => assert.equal(await page.getByRole('textbox', { name: 'Prompt' }).count(), 0))
  const browser = await launch({ args: ['--disable-3d-apis'] })
  const server = await serve(text, ...typed)
  try {
    const page = await open(browser.context, server.url, { cloud: false })
    await page.getByRole('heading', { name: 'No WebGL 2' }).waitFor()
    await line(page).fill('no picture')
    await page.keyboard.press('Enter')
    await panel(page).getByText('words are the model’s').waitFor()
    assert.equal(await chips(page).count(), 10)
  } finally {
    await browser.stop()
    server.stop()
  }
})

test('a run of another model is refused when the program starts', () => {
  assert.throws(() => execFileSync(binary, ['view', text, '--model', 'bytes-llama', '--no-open'], { stdio: 'pipe', timeout: 30_000 }), (error) => {
    assert.equal(error.status, 1)
    assert.match(error.stderr.toString(), /bytes-llama is not the model of text/)
    return true
  })
})

test('on a map without layers, a prompt is told where its way is shown', async () => {
  run('project', text, '--name', 'table', '--components', 'embed')
  await viewing([text, ...typed], async (page) => {
    await read(page, 'The old ship')
    await panel(page).getByText('This map has no layers to lead it through.').waitFor()
    await panel(page).getByRole('button', { name: 'Its way, on paths' }).click()
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'paths' && !window.tomograph.loading)
    await laid(page)
    await page.getByText('the prompt, from layer to layer').waitFor()
    assert.equal(await panel(page).getByText('no layers to lead it through').count(), 0)
  }, { hash: '#p=table' })
  for (const ending of ['json', 'safetensors']) rmSync(join(text, 'projections', `table.${ending}`))
})

test('prompts: axe finds nothing serious, at every size', async () => {
  for (const [theme, width, height] of LOOKS)
    await viewing([text, ...typed], async (page) => {
      await page.setViewportSize({ width, height })
      await read(page, 'The old ship')
      await read(page, 'The old boat', 2)
      await chips(page).nth(4).click()
      await panel(page).locator('button.near').first().waitFor()
      await panel(page).getByRole('img', { name: /^Distance by layer/ }).waitFor()
      await looksRight(page, `live-${theme}-${width}`)
      await page.setViewportSize({ width: 1440, height: 900 })
    }, { hash: `#p=paths&theme=${theme}` })
})
