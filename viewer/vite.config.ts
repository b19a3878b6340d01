import { createHash } from 'node:crypto'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

/**
 * One script, one style sheet, fixed names: the program embeds them and `report.html` inlines them. The hash lets the
 * report's own Content-Security-Policy name its one script.
 */
function singleScript(): Plugin {
  return {
    name: 'single-script',
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== 'chunk' || file.fileName !== 'viewer.js') continue
        file.code = file.code.replaceAll('</script', '<\\/script')
        this.emitFile({
          type: 'asset',
          fileName: 'viewer.sha256',
          source: createHash('sha256').update(file.code).digest('base64'),
        })
      }
    },
  }
}

export default defineConfig({
  plugins: [svelte(), singleScript()],
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      output: {
        entryFileNames: 'viewer.js',
        assetFileNames: 'viewer[extname]',
        inlineDynamicImports: true,
      },
    },
  },
  server: { proxy: { '/api': process.env.TOMOGRAPH_VIEW ?? 'http://127.0.0.1:8080' } },
})
