// A viewer process and a Chromium on it, for the tests beside this file.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { told } from './told.mjs'

export const binary = process.env.TOMOGRAPH_BINARY ?? new URL('../../../build/release/tomograph', import.meta.url).pathname

/** `tomograph view ...`; resolves once it has printed its address. */
export function serve(...args) {
  const child = spawn(binary, ['view', ...args, '--no-open'], { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (data) => {
      text += data
      const end = text.indexOf('\n')
      if (end >= 0) resolve({ url: text.slice(0, end), stop: () => child.kill('SIGINT'), child })
    })
    child.on('exit', (code) => reject(new Error(`tomograph view ended with ${code}`)))
  })
}

export async function launch(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'tomograph-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.TOMOGRAPH_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    viewport: { width: 1440, height: 900 },
    deviceScaleFactor: 1,
    args: [
      '--use-angle=swiftshader',
      '--enable-unsafe-swiftshader',
      '--ignore-gpu-blocklist',
      '--no-sandbox',
      '--disable-background-networking',
      '--no-first-run',
      '--disable-component-update',
      '--disable-sync',
      ...(options.args ?? []),
    ],
    ...options.context,
  })
  await context.addInitScript(told)
  return {
    context,
    async stop() {
      await context.close()
      rmSync(profile, { recursive: true, force: true })
    },
  }
}

/** Opens an address and waits until a cloud is drawn. Anything the page complains about is kept in `page.complaints`. */
export async function open(context, url, { cloud = true } = {}) {
  const page = await context.newPage()
  page.complaints = []
  page.on('pageerror', (error) => page.complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.text().includes('Content Security Policy')) page.complaints.push(message.text())
  })
  await page.goto(url)
  if (cloud) await page.waitForFunction(() => window.tomograph?.cloud && !window.tomograph.loading && window.tomograph.moved > 1, null, { timeout: 60_000 })
  return page
}
