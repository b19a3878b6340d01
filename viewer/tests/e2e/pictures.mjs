// The documentation's pictures of the page: node pictures.mjs STUDY OUT [NAME...]. The binary is $TOMOGRAPH_BINARY, STUDY
// one that `tomograph run` wrote; nothing is changed in it. Names: of these pictures only.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binary, launch, open, serve } from './browser.mjs'

const [study, out, ...wanted] = process.argv.slice(2)
if (!study || !out) throw new Error('usage: pictures.mjs STUDY OUT')
mkdirSync(out, { recursive: true })
const work = mkdtempSync(join(tmpdir(), 'tomograph-pictures-'))
const run = (...args) => execFileSync(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] })

/** The same text through the same model in two precisions. */
function twoPrecisions() {
  const [whole, coarse, weights] = ['f16', 'q4_0', 'bytes-q4_0.gguf'].map((name) => join(work, name))
  run('quantize', 'bytes-gpt2', '--type', 'q4_0', '--out', weights)
  run('capture', 'bytes-gpt2', '--out', whole, '--sequences', '8')
  run('capture', weights, '--out', coarse, '--sequences', '8')
  run('project', whole, '--name', 'stream', '--components', 'resid_post', '--positions', '1:')
  return [whole, coarse]
}

/** The study with the model that its first run names. */
const withModel = () => [study, '--model', JSON.parse(readFileSync([study, join(study, 'text')].map((f) => join(f, 'run.json')).find(existsSync))).model.path]

async function typed(page, words, button) {
  await page.getByRole('textbox', { name: 'Prompt', exact: true }).fill(words)
  await page.getByRole('button', { name: button, exact: true }).click()
  await page.waitForFunction(() => !window.tomograph.live.busy && window.tomograph.live.laid.length && window.tomograph.live.laid.every(Boolean), null, { timeout: 60_000 })
}

const pictures = {
  map: {
    hash: 'theme=light',
    async show(page) {
      // A noun in the middle of the cloud, whose neighbours say something.
      await page.evaluate(() => {
        const { cloud } = window.tomograph
        for (let row = 0; row < cloud.n; ++row)
          if (cloud.labels.layer[row] === 11 && cloud.components[cloud.labels.component[row]] === 'mlp_out' && cloud.piece(row) === ' ship') return window.tomograph.picking.pick(row)
      })
      await page.waitForFunction(() => window.tomograph.picking.near?.full && window.tomograph.picking.near.map)
    },
  },
  tour: {
    hash: 'theme=light',
    async show(page) {
      await page.getByRole('button', { name: 'Tour' }).click()
      await loaded(page, 'attention-mlp-unit')
    },
  },
  finding: {
    hash: 'theme=dark',
    async show(page) {
      await page.getByRole('button', { name: 'position share' }).click()
      await loaded(page, 'positions-unit')
    },
  },
  layers: {
    hash: 'theme=dark',
    async show(page) {
      await page.getByRole('button', { name: 'layer paths' }).click()
      await loaded(page, 'layer-paths')
      await page.evaluate(() => window.tomograph.playback.setLayer(20))
    },
  },
  lasso: {
    hash: 'theme=light&dim=2',
    async show(page) {
      const { width, height } = await page.locator('canvas.points').boundingBox()
      const outline = [[0.3, 0.2], [0.62, 0.22], [0.55, 0.62], [0.38, 0.5], [0.3, 0.55]].flatMap(([x, y]) => [x * width, y * height])
      await page.evaluate((points) => window.tomograph.lasso(Float32Array.from(points), 'replace'), outline)
    },
  },
  umap: { hash: 'p=attention-mlp-umap&theme=dark&color=layer' },
  compare: {
    runs: twoPrecisions,
    hash: 'p=stream&theme=light&color=layer',
    async show(page) {
      await page.waitForFunction(() => window.tomograph.comparison.matched !== null)
    },
  },
  runs: {
    runs: twoPrecisions,
    hash: 'p=stream&theme=light&color=layer&dim=2&beside=runs',
    async show(page) {
      await page.waitForFunction(() => window.tomograph.scene.cells.length === 2)
      await page.getByRole('list', { name: 'Rows by how far they moved' }).getByRole('button').first().click()
      await page.waitForFunction(() => window.tomograph.picking.near?.full && window.tomograph.picking.near.map)
    },
  },
  axes: {
    // What the blocks write, and the stream they write to, on the axes of the former.
    hash: 'p=attention-mlp-unit&theme=light&dim=2',
    async show(page) {
      await page.getByRole('region', { name: 'On these axes' }).getByRole('button', { name: 'resid_post', exact: true }).click()
      await page.waitForFunction(() => window.tomograph.base && !window.tomograph.loading)
      await page.getByRole('button', { name: 'Fit' }).click()
    },
  },
  steer: {
    runs: withModel,
    hash: 'p=attention-mlp-unit@resid_post@20&theme=light&color=position&dim=2&labels=0',
    async show(page) {
      await typed(page, 'The captain hunts the white', 'Read')
      const { width, height } = await page.locator('canvas.points').boundingBox()
      const outline = [[0.3, 0.2], [0.62, 0.22], [0.55, 0.62], [0.38, 0.5], [0.3, 0.55]].flatMap(([x, y]) => [x * width, y * height])
      await page.evaluate((points) => window.tomograph.lasso(Float32Array.from(points), 'replace'), outline)
      await page.getByLabel('Strength').fill('2')
      await page.getByRole('button', { name: 'Read steered' }).click()
      await page.getByText('The next word moves by').waitFor({ timeout: 60_000 })
      await page.getByRole('region', { name: 'Steer the prompt' }).scrollIntoViewIfNeeded()
    },
  },
  live: {
    runs: withModel,
    hash: 'p=layer-paths&theme=light&color=layer&dim=2&labels=0',
    async show(page) {
      await typed(page, 'The captain hunts the white whale', 'Read')
      await typed(page, 'The captain hunts the white house', 'Read beside')
      await page.evaluate(() => window.tomograph.live.prompts.forEach((p, i) => window.tomograph.live.choose(i, p.tokens.length - 1)))
      await page.waitForFunction(() => window.tomograph.live.near && window.tomograph.live.words && window.tomograph.live.apart, null, { timeout: 60_000 })
    },
  },
  new: {
    hash: 'theme=dark',
    async show(page) {
      await page.getByRole('button', { name: 'New…' }).click()
    },
  },
}

const loaded = (page, name) => page.waitForFunction((name) => window.tomograph.cloud?.name === name && !window.tomograph.loading, name)

/** 256 colours do for a page of flat ones, where there is a program that picks them. */
function squeeze(file) {
  spawnSync('pngquant', ['--force', '--strip', '--speed', '1', '--output', file, '256', file])
  return statSync(file).size
}

const browser = await launch({ context: { viewport: { width: 1280, height: 800 } } })
try {
  for (const [name, { runs, hash, show }] of Object.entries(pictures)) {
    if (wanted.length && !wanted.includes(name)) continue
    const server = await serve(...(runs ? runs() : [study]))
    try {
      const page = await open(browser.context, `${server.url}#${hash}`)
      await show?.(page)
      await page.waitForTimeout(500)
      const file = join(out, `viewer-${name}.png`)
      await page.screenshot({ path: file })
      console.log(`${file}: ${Math.round(squeeze(file) / 1000)} kB`)
      await page.close()
    } finally {
      server.stop()
    }
  }
} finally {
  await browser.stop()
  rmSync(work, { recursive: true, force: true })
}
