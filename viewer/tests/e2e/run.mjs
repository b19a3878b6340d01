// Drives Chromium through the viewer on runs of the built-in models and on synthetic clouds. `npm run e2e`; the binary
// is $TOMOGRAPH_BINARY. With $TOMOGRAPH_SCREENSHOTS pictures of the panels go to that folder; with $TOMOGRAPH_PYTHON, an
// interpreter that has the Python package, also a notebook's cell.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { chosen, shared, shots, tests, work } from './harness.mjs'
import './map.mjs'
import './data.mjs'
import './hand.mjs'
import './live.mjs'
import './axes.mjs'
import './steer.mjs'
import './runs.mjs'
import './fonts.mjs'
import './flat.mjs'
import './looks.mjs'
import './size.mjs'

if (process.env.TOMOGRAPH_PYTHON) await import('./notebook.mjs')

let failed = 0
try {
  for (const { name, body } of tests) {
    if (!chosen(name)) continue
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
