import { afterEach, describe, expect, it, vi } from 'vitest'
import { HttpSource, Stale } from '../../src/data/source'

const asked: string[] = []
function serve(status: number, body: string) {
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path)
    return new Response(body, { status })
  })
}
afterEach(() => {
  vi.unstubAllGlobals()
  asked.length = 0
})

describe('HttpSource', () => {
  const source = new HttpSource()
  it('asks for the version that the page shows', async () => {
    serve(200, '{}')
    await source.json('runs/0/tokens', 'abc')
    await source.json('near?row=1', 'abc')
    await source.column('axis0')
    expect(asked).toEqual(['api/runs/0/tokens?v=abc', 'api/near?row=1&v=abc', 'api/axis0'])
  })
  it('tells what was made anew from what failed', async () => {
    serve(412, '{"error":"this was made anew meanwhile; look again"}')
    await expect(source.json('x')).rejects.toBeInstanceOf(Stale)
    serve(422, '{"error":"no such row"}')
    const failure = await source.column('x').catch((error: Error) => error)
    expect(failure).toBeInstanceOf(Error)
    expect(failure).not.toBeInstanceOf(Stale)
    expect((failure as Error).message).toBe('no such row')
  })
  it('says so when there is no server, or no JSON', async () => {
    serve(502, '<html>')
    await expect(source.json('x')).rejects.toThrow('the server answered 502')
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('failed')
    })
    await expect(source.json('x')).rejects.toThrow('was tomograph view stopped?')
    await expect(source.send('POST', 'jobs', {})).rejects.toThrow('was tomograph view stopped?')
  })
})
