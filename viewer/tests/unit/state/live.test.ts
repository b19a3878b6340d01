import { describe, expect, it } from 'vitest'
import { Live } from '../../../src/state/live.svelte'
import { Places } from '../../../src/state/places'
import { cloud, run, ScriptedSource } from './example'

const floats = (...values: number[]) => Float32Array.from(values).buffer
const done = { id: 1, state: 'done', tokens: [{ id: 7, text: ' a', logprob: null, entropy: null, rank: null }, { id: 8, text: 'b', logprob: -1, entropy: 2, rank: 3 }], next: [{ text: 'c', p: 0.5 }], notes: ['noted'], seconds: 0.1 }
const header = { name: 'p', n: 4, dims: 3, averages: false, norm: { low: 1, high: 2 }, segments: [['attn_out', 0, 2, 0], ['attn_out', 1, 2, 0]], columns: { axis0: {}, token: { dtype: 'u16' }, norm: { dtype: 'u16' } }, notes: ['all tokens'] }
const onMap = {
  'live/1/maps/p@v1': header,
  'live/1/maps/p/token@v1': Uint16Array.from([0, 1, 0, 1]).buffer,
  'live/1/maps/p/norm@v1': Uint16Array.from([0, 0, 0, 0]).buffer,
  'live/1/maps/p/axis0@v1': floats(0, 1, 2, 3),
  'live/1/maps/p/axis1@v1': floats(1, 2, 3, 4),
  'live/1/maps/p/axis2@v1': floats(2, 3, 4, 5),
  'live/1/words?token=1': [],
}

function make(answers: Record<string, unknown>) {
  const source = new ScriptedSource(answers)
  const live = new Live(source, () => {}, async () => {})
  const places = new Places()
  const map = cloud()
  places.open(map, [0, 1, 2])
  live.show(map, [0, 1, 2], places)
  return { live, source, places }
}

describe('Live', () => {
  it('reads a prompt and lays it on the map', async () => {
    const states = [{ id: 1, state: 'running', task: 'reading' }, done]
    const { live, source, places } = make({ 'live/1': () => states.shift(), ...onMap })
    await live.read(run, ' ab', false)
    expect(live.error).toBe('')
    expect(source.asked[0]).toBe('POST live {"run":0,"text":" ab"}')
    expect(live.busy).toBe(false)
    const laid = live.laid[0]!
    expect(places.unscaled(0, laid.positions[3])).toBeCloseTo(1)
    expect(laid.cloud.piece(3)).toBe('b')
    expect(laid.cloud.header.notes).toEqual(['all tokens'])
    expect(live.placeOf(laid, 0, 0.5)![0] * places.scale).toBeCloseTo(1 + laid.positions[0] * places.scale)
  })
  it('puts conversations as the user’s words', async () => {
    const { live, source } = make({ 'live/1': done, ...onMap })
    await live.read(run, [{ role: 'user', content: 'hi' }], false)
    expect(source.asked[0]).toBe('POST live {"run":0,"messages":[{"role":"user","content":"hi"}]}')
  })
  it('says what went wrong, and is free again', async () => {
    const { live } = make({ 'live/1': { id: 1, state: 'failed', error: 'too long' } })
    await live.read(run, 'x', false)
    expect([live.error, live.busy, live.prompts.length]).toEqual(['too long', false, 0])
    const gone = make({})
    await gone.live.read(run, 'x', false)
    expect([gone.live.error !== '', gone.live.busy]).toEqual([true, false])
  })
  it('sends neither nothing nor megabytes', async () => {
    const { live, source } = make({})
    await live.read(run, ' \n', false)
    expect(live.error).toMatch('empty')
    for (const text of ['x'.repeat(5e6), '\u0001'.repeat(12_000)]) {
      await live.read(run, text, false)
      expect(live.error).toMatch('too long')
    }
    expect(source.asked).toEqual([])
  })
  it('keeps two beside each other, and one alone', async () => {
    const { live } = make({ 'live/1': done, ...onMap })
    await live.read(run, 'a', true)
    await live.read(run, 'b', true)
    await live.read(run, 'c', true)
    expect(live.prompts.map((p) => p.text)).toEqual(['a', 'c'])
    live.drop(0)
    expect(live.prompts.map((p) => p.text)).toEqual(['c'])
    expect(live.laid.length).toBe(1)
    await live.read(run, 'd', false)
    expect(live.prompts.map((p) => p.text)).toEqual(['d'])
  })
  it('has no place until it is laid out, though the one before it had', async () => {
    const { live } = make({ 'live/1': done, ...onMap })
    await live.read(run, 'a', false)
    const first = live.laid[0]
    const reading = live.read(run, 'b', true)
    const places: unknown[] = []
    while (live.prompts.length < 2) await Promise.resolve()
    places.push(...live.laid)
    await reading
    expect(places).toEqual([first, null])
    expect(live.laid.every((laid) => laid !== null)).toBe(true)
  })
  it('is on no map of another run', async () => {
    const { live } = make({ 'live/1': done, ...onMap })
    await live.read({ ...run, id: 5 }, 'a', false)
    expect(live.laid).toEqual([null])
  })
})
