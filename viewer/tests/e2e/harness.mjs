// What the browser's tests share: runs, a viewer with a page on it, and what the page shows, told by none of its code.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { binary, launch, open, serve } from './browser.mjs'

export const work = mkdtempSync(join(tmpdir(), 'tomograph-e2e-'))
export const run = (...args) => execFileSync(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] })
export const shots = process.env.TOMOGRAPH_SCREENSHOTS
if (shots) mkdirSync(shots, { recursive: true })
export const shoot = async (page, name, fullPage = false) => shots && page.screenshot({ path: join(shots, `${name}.png`), fullPage })

export const text = join(work, 'text')
run('capture', 'bytes-gpt2', '--out', text, '--sequences', '12')
run('project', text, '--name', 'pair', '--components', 'attn_out,mlp_out', '--positions', ':')
run('measure', text)
run('project', text, '--name', 'paths', '--components', 'resid_post', '--positions', '1:', '--normalize', 'unit')

export const shared = await launch()
export const tests = []
export const test = (name, body) => tests.push({ name, body })
const wanted = process.argv.slice(2)
/** Only tests whose names hold one of the words asked for; none asked for: all. */
export const chosen = (name) => wanted.length === 0 || wanted.some((word) => name.includes(word))

/** A viewer and a page on it, closed when the body is through; a page that complained has failed. */
export async function viewing(args, body, { hash = '#p=pair', launchOptions, cloud, mayComplain = false } = {}) {
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
export function writtenReport() {
  const report = join(work, 'report.html')
  if (!existsSync(report)) run('view', text, '--report', report)
  return pathToFileURL(report).href
}
export const settle = (page) => page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))))
export const box = (page) => page.locator('canvas.points').boundingBox()

/** Where the first rows are on the screen. */
export const screen = (page, most) =>
  page.evaluate((most) => {
    const { scene, places, cloud } = window.tomograph
    const spot = told.spots(scene.camera, places.positions)
    return Array.from({ length: Math.min(most, cloud.n) }, (_, row) => spot(row))
  }, most)

/** How many points lie in an outline. */
export const bruteForce = (page, polygon) =>
  page.evaluate((polygon) => {
    const { scene, places, cloud } = window.tomograph
    const spot = told.spots(scene.camera, places.positions)
    let count = 0
    for (let row = 0; row < cloud.n; ++row) count += told.inside(polygon, spot(row))
    return count
  }, polygon)

export async function drawLasso(page, points, modifier) {
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

let axe = ''
/** What axe finds serious or worse in the page, with where. */
async function axeFinds(page) {
  axe ||= readFileSync(new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
  // Past the page's own policy, which allows no script but its own.
  const session = await page.context().newCDPSession(page)
  await session.send('Runtime.evaluate', { expression: axe })
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document)
    return violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' | ')}`)
  })
}
/** Sizes that panels are looked at in. */
export const LOOKS = [['light', 1280, 800], ['dark', 1280, 800], ['light', 1920, 1080], ['light', 390, 844], ['dark', 390, 844]]

/** What is cut off without a sign, or has to be scrolled sideways without being made for it. */
const cut = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((e) => e.checkVisibility() && e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1 && !e.matches('textarea, input, select, [tabindex]'))
      .filter((e) => getComputedStyle(e).overflowX !== 'visible' && getComputedStyle(e).textOverflow !== 'ellipsis')
      .map((e) => `${e.scrollWidth} in ${e.clientWidth}: ${e.outerHTML.slice(0, 120)}`),
  )

/** A picture of the page as it is, whole on a phone; axe finds nothing serious, nothing is cut or hangs over the edge. */
export async function looksRight(page, name) {
  await settle(page)
  await shoot(page, name, page.viewportSize().width < 900)
  assert.deepEqual(await axeFinds(page), [], name)
  assert.deepEqual(await cut(page), [], name)
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: nothing hangs over the edge`)
}
