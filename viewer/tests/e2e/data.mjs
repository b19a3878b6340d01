// What comes in and goes out: hostile texts, projections, exports, reports, runs that change.
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { launch, open } from './browser.mjs'
import { run, shared, test, text, viewing, work, writtenReport } from './harness.mjs'
import { safetensors, synthesizeProjection } from './synthetic.mjs'

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
    assert.ok((await page.locator('div.text').textContent()).includes('<img'))
    // Many ids have the same text here: each is listed.
    await page.getByLabel('Search tokens').fill('<img')
    await page.locator('.tokens .match').first().waitFor()
    assert.equal(await page.locator('.tokens .match').count(), 8)
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
    // Twice as fine as the page, and room for all lines of the caption.
    const frame = await page.locator('canvas.points').boundingBox()
    assert.equal(png.readUInt32BE(16), 2 * Math.round(frame.width))
    assert.ok(png.readUInt32BE(20) >= 2 * (Math.round(frame.height) + 28))
    await page.setViewportSize({ width: 700, height: 900 })
    const narrow = (await saved(/SVG/)).toString()
    await page.setViewportSize({ width: 1440, height: 900 })
    const caption = [...narrow.matchAll(/<text x="12" y="[\d.]+" font-size="12"[^>]*>([^<]*)</g)].map((m) => m[1])
    assert.ok(caption.length > 1 && caption.every((line) => line.length * 7.2 < 700), caption.join(' | '))
    assert.match(caption.join(' '), /bytes-gpt2 · .* · pair · PCA, [\d.]+ % of the variance on PC1, PC2, PC3 · 12,288 of 12,288 points · colour: component$/)
    const svg = (await saved(/SVG/)).toString()
    assert.match(svg, /^<svg/)
    assert.ok(svg.split('<circle').length > 1000)
  }))

test('what a projection’s maker had to say is shown where it is listed', async () => {
  const noted = retold('noted', { plain: ['--components', 'mlp_out'] })
  rmSync(join(noted, 'neighbors'), { recursive: true, force: true })
  writeFileSync(join(noted, 'neighbors'), 'no folder')
  run('project', noted, '--name', 'pair', '--method', 'umap', '--components', 'attn_out', '--rows', '500')
  await viewing([noted], async (page) => {
    await page.locator('.note', { hasText: 'the neighbours are not kept for the next map' }).waitFor()
    assert.deepEqual(await page.getByLabel('Projection', { exact: true }).locator('option').allTextContents(), ['pair (see note)', 'plain'])
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

test('a run under way is said to be', async () => {
  const part = join(work, 'part')
  run('capture', 'bytes-gpt2', '--out', part, '--sequences', '64', '--length', '64', '--components', 'resid_post', '--shard-mb', '0.5')
  const manifests = readdirSync(join(part, 'shards')).filter((name) => name.endsWith('.json')).sort()
  assert.ok(manifests.length > 1)
  const last = join(part, 'shards', manifests.at(-1))
  const whole = readFileSync(last)
  const file = join(part, 'run.json')
  const complete = readFileSync(file)
  rmSync(last)
  rmSync(file)
  run('project', part, '--name', 'pair', '--components', 'resid_post', '--positions', ':')
  await viewing([part], async (page) => {
    await page.getByText('still being written').waitFor()
    writeFileSync(last, whole)
    writeFileSync(file, complete)
    await page.getByRole('button', { name: 'Look again' }).click()
    await page.getByText('still being written').waitFor({ state: 'detached' })
  })
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

/** A copy of the run `text` with other projections, each by its name and options, and its findings as `edit` leaves them. */
function retold(name, projections, edit) {
  const copy = join(work, name)
  cpSync(text, copy, { recursive: true })
  rmSync(join(copy, 'projections'), { recursive: true })
  for (const [made, options] of Object.entries(projections)) run('project', copy, '--name', made, ...options)
  if (edit) {
    const file = join(copy, 'measures', 'findings.json')
    const json = JSON.parse(readFileSync(file, 'utf8'))
    json.findings.forEach(edit)
    writeFileSync(file, JSON.stringify(json))
  }
  return copy
}

test('a claim that does not hold is asked, not said, whatever word the verdict has', async () => {
  const open = { pair: ['--components', 'attn_out,mlp_out', '--positions', '1:'] }
  const copy = retold('undecided', open, (f) => { if (f.name === 'attn_mlp_separation') f.verdict = 'undecided' })
  await viewing([copy], async (page) => {
    await page.getByRole('button', { name: 'Tour' }).click()
    const tour = page.getByRole('region', { name: 'Guided tour' })
    await tour.getByRole('heading', { name: 'Do attention and MLP write apart?' }).waitFor()
    assert.match(await tour.textContent(), /In this run: undecided/)
    await page.getByRole('cell', { name: 'undecided' }).first().waitFor()
  })
})

test('the first token’s norm is shown where first tokens are: by the heat map, if no map has them', async () => {
  const copy = retold('firstless', { pair: ['--components', 'attn_out,mlp_out', '--positions', '1:'] })
  await viewing([copy], async (page) => {
    assert.equal(await page.getByLabel('First tokens').count(), 0)
    await page.getByRole('button', { name: 'first token norm' }).click()
    await page.locator('section.lit', { hasText: 'Mean norm' }).waitFor()
    await page.locator('.why', { hasText: 'The heat map shows it' }).waitFor()
    assert.equal(await page.locator('.map .part.first').count(), 1)
    await page.getByRole('button', { name: 'Make a map that shows it' }).click()
    await page.waitForFunction(() => window.tomograph.cloud?.labels.position.includes(0) && window.tomograph.colors.coloring === 'norm', null, { timeout: 30_000 })
    await page.getByLabel('First tokens').waitFor()
  })
})

test('averages are said to be averages, and single tokens can be had', async () => {
  const copy = retold('averaged', { 'layer-paths': ['--components', 'resid_post', '--positions', '1:', '--normalize', 'unit', '--mean', 'samples'] })
  await viewing([copy], async (page) => {
    await page.getByRole('button', { name: 'layer paths' }).click()
    await page.locator('.why', { hasText: 'averages over texts, the number is of single tokens' }).waitFor()
    await page.getByRole('button', { name: 'Tour' }).click()
    const tour = page.getByRole('region', { name: 'Guided tour' })
    while (!/path/.test(await tour.getByRole('heading', { level: 3 }).textContent())) await tour.getByRole('button', { name: 'Next' }).click()
    await tour.getByText('Each point here is an average over texts').waitFor()
    await tour.getByRole('button', { name: 'End' }).click()
    await page.locator('.why').getByRole('button', { name: 'Make a map that shows it' }).click()
    await page.waitForFunction(() => window.tomograph.cloud && !window.tomograph.cloud.averages && window.tomograph.marks.selectedCount > 0, null, { timeout: 30_000 })
    assert.equal(await page.locator('.why .but').count(), 0)
  }, { hash: '#p=layer-paths' })
})

test('tokens that stand out can be clicked wherever they are, and are told apart', async () => {
  const copy = retold('standing', { pair: ['--components', 'attn_out,mlp_out', '--positions', ':'] })
  const file = join(copy, 'measures', 'outliers.json')
  const json = JSON.parse(readFileSync(file, 'utf8'))
  const first = json.outliers[0] ?? { sequence: 1, position: 40, token: 'x', context: 'a [x] b', by: 'norm', score: 5 }
  // Twice the same word at the same score, at a site that this map has not.
  json.outliers = [0, 1].map((i) => ({ ...first, site: 'blocks.2.ln1', position: 40 + i, context: `${i ? 'after' : 'before'} [${first.token}] it` }))
  writeFileSync(file, JSON.stringify(json))
  await viewing([copy], async (page) => {
    const list = page.getByRole('region', { name: 'Tokens that stand out' }).locator('button.token')
    const texts = await list.allTextContents()
    assert.equal(new Set(texts).size, texts.length)
    assert.ok(texts[0].includes('before') && !texts[0].includes('ln1'), 'what all share is said once')
    await page.getByText('all at blocks.2.ln1').waitFor()
    await list.first().click()
    await page.getByText('this is the same token at').waitFor()
    assert.equal(await page.evaluate(() => window.tomograph.cloud.labels.position[window.tomograph.picking.picked]), 40)
    run('project', copy, '--name', 'norms', '--components', 'ln1', '--positions', ':')
    await page.evaluate(() => window.tomograph.refresh())
    await list.nth(1).click()
    await page.waitForFunction(() => window.tomograph.cloud?.name === 'norms' && window.tomograph.picking.picked >= 0)
    assert.deepEqual(await page.evaluate(() => { const v = window.tomograph; return [v.cloud.site(v.picking.picked), v.cloud.labels.position[v.picking.picked]] }), ['blocks.2.ln1', 41])
  })
})

test('tokens of an import without ids are searched, listed and coloured by their text', async () => {
  const imported = join(work, 'imported')
  const words = [' the', ' whale', 'the', ' sea', '']
  const n = 60
  const data = Float32Array.from({ length: 8 * n }, (_, i) => 3 * Math.cos((Math.floor(i / 8) % words.length) + i) + ((i * 7919) % 97) / 97)
  safetensors(`${imported}.safetensors`, { 'blocks.0.resid_post': { dtype: 'F32', shape: [n, 8], data } })
  writeFileSync(`${imported}.csv`, 'sequence,position,token\n' + Array.from({ length: n }, (_, i) => `0,${i},${words[i % words.length]}\n`).join(''))
  run('import', `${imported}.safetensors`, '--labels', `${imported}.csv`, '--out', imported)
  run('project', imported, '--name', 'all', '--positions', ':')
  const looked = async (page) => {
    await page.getByLabel('Search tokens').fill('whale')
    await page.getByText('12 points found', { exact: true }).waitFor()
    await page.getByLabel('Search tokens').fill('the')
    await page.getByText('24 points found', { exact: true }).waitFor()
    await page.getByRole('button', { name: '·the', exact: true }).click()
    await page.getByText('12 points found', { exact: true }).waitFor()
    await page.getByText('There is also').waitFor()
    await page.getByLabel('Search tokens').fill('')
    await page.getByLabel('Colour by').selectOption('token')
    const legend = page.getByRole('region', { name: 'Colour' }).locator('.entry')
    assert.deepEqual((await legend.locator('.name').allTextContents()).sort(), ['none', 'the', '·sea', '·the', '·whale'])
    assert.equal(new Set(await legend.locator('i').evaluateAll((dots) => dots.map((dot) => dot.style.background))).size, 5)
    await page.getByRole('button', { name: 'only ·whale' }).click()
    assert.equal(await page.evaluate(() => window.tomograph.hiding.visibleCount), 12)
    await page.evaluate(() => window.tomograph.picking.pick(1))
    await page.locator('.word.here', { hasText: 'whale' }).waitFor()
    assert.equal(await page.getByText('token id').count(), 0, 'it has none')
  }
  await viewing([imported], looked, { hash: '#p=all' })
  const report = join(work, 'imported.html')
  run('view', imported, '--report', report)
  const page = await open(shared.context, pathToFileURL(report).href)
  await looked(page)
  assert.deepEqual(page.complaints, [])
  await page.close()
})
