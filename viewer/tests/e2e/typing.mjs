// What tests of typed prompts share: a model with a template for chat, the line, and what is drawn of a prompt.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { work } from './harness.mjs'

const template = join(work, 'template.jinja')
writeFileSync(template, "{% for m in messages %}[{{ m['content'] }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}")
export const typed = ['--model', 'bytes-gpt2', '--chat-template', template]

export const line = (page) => page.getByRole('textbox', { name: 'Prompt', exact: true })
export const panel = (page) => page.getByRole('region', { name: /prompt: |^Prompt: / })
export const chips = (page, which = 'the prompt') => page.getByRole('group', { name: `Tokens of ${which}`, exact: true }).locator('.chip')
export const laid = (page, n = 1) => page.waitForFunction((n) => window.tomograph.live.laid.filter(Boolean).length === n && !window.tomograph.live.busy, n, { timeout: 30_000 })
export async function read(page, words, n = 1) {
  await line(page).fill(words)
  await page.getByRole('button', { name: n === 1 ? 'Read' : 'Read beside', exact: true }).click()
  await laid(page, n)
}
/** Pixels of about a colour on the canvas over the points. */
export const painted = (page, [r, g, b]) =>
  page.evaluate(([r, g, b]) => {
    const c = document.querySelector('canvas.over')
    const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height)
    let n = 0
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) ++n
    return n
  }, [r, g, b])
export const first = [0xc8, 0x00, 0x5f]
export const second = [0x00, 0x57, 0xc2]
