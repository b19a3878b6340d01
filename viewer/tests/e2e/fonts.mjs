// Tokens in scripts beyond Latin: drawn where the machine has a font, and told where it has none.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { binary } from './browser.mjs'
import { run, settle, shoot, test, viewing, work } from './harness.mjs'
import { safetensors } from './synthetic.mjs'

const words = ['鯨', '海', 'クジラ', '🐋', ' whale', '고래']
const whales = join(work, 'whales')
function capture() {
  const n = 10 * words.length
  const data = Float32Array.from({ length: 8 * n }, (_, i) => 3 * Math.cos((Math.floor(i / 8) % words.length) + i) + ((i * 7919) % 97) / 97)
  safetensors(whales + '.safetensors', { 'blocks.0.resid_post': { dtype: 'F32', shape: [n, 8], data }, token_ids: { dtype: 'I32', shape: [n], data: Int32Array.from({ length: n }, (_, i) => i % words.length) } })
  writeFileSync(whales + '.csv', 'sequence,position,token\n' + Array.from({ length: n }, (_, i) => `0,${i},${words[i % words.length]}\n`).join(''))
  run('import', whales + '.safetensors', '--labels', whales + '.csv', '--out', whales)
  run('project', whales, '--name', 'all', '--positions', ':')
}
/** Where the machine has no font but Latin ones. */
function latinOnly() {
  const cache = join(work, 'fonts')
  mkdirSync(cache, { recursive: true })
  const file = join(cache, 'fonts.conf')
  writeFileSync(file, `<?xml version="1.0"?><fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir><cachedir>${cache}</cachedir></fontconfig>`)
  return { ...process.env, FONTCONFIG_FILE: file }
}

test('Chinese and Japanese are drawn, and fonts named where they are missing, in the page and in figures', async () => {
  capture()
  const painted = (page) =>
    page.evaluate(() => {
      const c = document.querySelector('canvas.over')
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 0).length
    })
  const note = (page) => page.getByText('This browser has no font for')
  await viewing([whales], async (page) => {
    await page.locator('canvas.points').waitFor()
    await page.evaluate(() => { window.tomograph.marks.search = '鯨'; window.tomograph.marks.runSearch() })
    assert.equal(await page.evaluate(() => window.tomograph.marks.found), 10)
    await settle(page)
    assert.ok((await painted(page)) > 500)
    assert.ok(!(await page.locator('aside.left').textContent()).includes('no font for Chinese'), 'scripts/setup installs fonts-droid-fallback')
    await shoot(page, 'fonts')
  }, { hash: '#p=all&color=token&theme=light' })
  const env = latinOnly()
  await viewing([whales], async (page) => {
    await note(page).waitFor()
    assert.match(await note(page).textContent(), /no font for (Chinese and Japanese|Korean|emoji|, ){5}: .*fonts-noto-cjk and fonts-noto-color-emoji/)
  }, { hash: '#p=all&color=token', launchOptions: { context: { env } } })
  const plot = (name, env) => execFileSync('/bin/sh', ['-c', '"$0" "$@" 2>&1', binary, 'plot', whales, 'all', '--color', 'token', '--out', join(work, name)], { env }).toString()
  assert.ok(!plot('whales.png', process.env).includes('鯨'), 'drawn')
  assert.match(plot('boxes.png', env), /no font here has .*鯨.*install fonts-noto-cjk \(for Chinese, Japanese and Korean\), fonts-noto-color-emoji \(for emoji\)/s)
  assert.ok(!readFileSync(join(work, 'whales.png')).equals(readFileSync(join(work, 'boxes.png'))))
  plot('whales.svg', env)
  assert.ok(readFileSync(join(work, 'whales.svg'), 'utf8').includes('鯨'), 'whoever looks at it has the font, maybe')
})
