// The viewer in a notebook's cell: a frame within a page of another site, and Python, which is told what is selected.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { shared, shoot, test, text } from './harness.mjs'

const program = `
import json, sys
import tomograph as tg
view = tg.view(sys.argv[1])
print(view.url, flush=True)
for line in sys.stdin:
    print(json.dumps([view.projection, view.selection.tolist()]), flush=True)
`

test('what is selected in a notebook’s cell comes back to Python', async () => {
  const python = spawn(process.env.TOMOGRAPH_PYTHON, ['-c', program, text], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()
  const { value: url } = await lines.next()
  const notebook = createServer((_, answer) => {
    answer.setHeader('Content-Type', 'text/html')
    answer.end(`<body><iframe src="${url}#p=pair&dim=2" width="1200" height="800" style="border:0"></iframe>`)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => notebook.once('listening', resolve))
  const page = await shared.context.newPage()
  const said = async () => {
    python.stdin.write('\n')
    return JSON.parse((await lines.next()).value)
  }
  /** What Python knows once it is what the page shows. */
  const agreed = async () => {
    const shown = await frame.evaluate(() => [window.tomograph.cloud.name, window.tomograph.marks.selectedRows()])
    for (let i = 0; i < 50; ++i) {
      const [name, rows] = await said()
      if (name === shown[0] && rows.length === shown[1].length) return assert.deepEqual(rows, shown[1]), rows
      await page.waitForTimeout(100)
    }
    assert.fail('Python was not told')
  }
  let frame
  try {
    // Another site than the frame's, as a notebook's own server is: no cookie would reach the frame.
    await page.goto(`http://localhost:${notebook.address().port}/`)
    frame = await (await page.waitForSelector('iframe')).contentFrame()
    await frame.waitForFunction(() => window.tomograph?.cloud && !window.tomograph.loading && window.tomograph.moved > 1, null, { timeout: 60_000 })
    assert.deepEqual(await agreed(), [])
    const { x, y, width, height } = await frame.locator('canvas.points').boundingBox()
    await page.keyboard.down('Shift')
    await page.mouse.move(x + 0.2 * width, y + 0.2 * height)
    await page.mouse.down()
    for (const [dx, dy] of [[0.7, 0.2], [0.7, 0.7], [0.2, 0.7]]) await page.mouse.move(x + dx * width, y + dy * height, { steps: 4 })
    await page.mouse.up()
    await page.keyboard.up('Shift')
    await frame.waitForFunction(() => window.tomograph.marks.selectedCount > 0)
    const rows = await agreed()
    assert.ok(rows.length > 10)
    await shoot(page, 'notebook')
    await page.keyboard.press('Escape')
    assert.deepEqual(await agreed(), [])
  } finally {
    await page.close()
    notebook.close()
    python.stdin.end()
    python.kill()
  }
})
