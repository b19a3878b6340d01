import { describe, expect, it } from 'vitest'
import { Live } from '../../../src/state/live.svelte'
import { evenly, Steering } from '../../../src/state/steering.svelte'
import { cloud, run, ScriptedSource } from './example'

const done = { id: 1, state: 'done', tokens: [{ id: 7, text: ' a', logprob: null, entropy: null, rank: null }], next: [], notes: [], seconds: 0.1 }
const limits = { least: 3, most: 4, strength: 7 }
const effect = { divergence: 0.5, control: [0.1], plain: [], steered: [] }

function make() {
  const source = new ScriptedSource({ 'live/1': done, 'live/1/words?token=0': [], 'live/1/effect': effect })
  const live = new Live(source, () => {}, async () => {})
  const steering = new Steering(source, live, () => limits)
  steering.open(cloud())
  return { source, live, steering }
}
const shown = () => true

describe('Steering', () => {
  it('counts the selected points by site', () => {
    const { steering } = make()
    expect(steering.sites([0, 6, 7, 8])).toEqual([{ site: 'blocks.1.attn_out', count: 3 }, { site: 'blocks.0.attn_out', count: 1 }])
  })
  it('leads from what is shown at the site and not selected, or from what was kept aside', () => {
    const { steering } = make()
    expect(steering.groups('blocks.1.attn_out', [0, 6, 7], (row) => row !== 9)).toEqual({ toward: [6, 7], away: [8, 10, 11] })
    steering.away = [0, 6, 8, 9]
    expect(steering.groups('blocks.1.attn_out', [6, 7], shown)).toEqual({ toward: [6, 7], away: [8, 9] })
  })
  it('says why points lead nowhere', () => {
    const { steering } = make()
    expect(steering.problem('blocks.1.attn_out', [6, 7], [8, 9, 10, 11])).toBe('Only 2 of the selected points are of blocks.1.attn_out: 3 at least are needed.')
    expect(steering.problem('blocks.1.attn_out', [6, 7, 8, 9], [10])).toBe('Only 1 point of blocks.1.attn_out to lead away from: 3 at least are needed.')
    expect(steering.problem('blocks.1.attn_out', [6, 7, 8, 9], [0, 1, 2, 3])).toBe('')
    steering.open(cloud({ averages: true }))
    expect(steering.problem('blocks.1.attn_out', [6, 7, 8, 9], [0, 1, 2, 3])).toMatch('averages')
  })
  it('reads the first prompt again beside itself, once there is one', async () => {
    const { steering, live, source } = make()
    const [toward, away] = [[6, 7, 8, 9], [0, 1, 2, 3]]
    await steering.read('blocks.1.attn_out', toward, away)
    expect(steering.error).toMatch('Read a prompt first')
    await live.read(run, ' a', false)
    steering.strength = 2
    await steering.read('blocks.1.attn_out', toward, away)
    expect(steering.error).toBe('')
    expect(source.asked).toContain('POST directions {"run":0,"projection":"p","version":"v1","component":"attn_out","layer":1,"toward":[6,7,8,9],"away":[0,1,2,3]}')
    expect(source.asked).toContain('POST live {"run":0,"text":" a","steer":{"direction":1,"strength":2}}')
    expect(steering.effect).toEqual(effect)
    expect(live.prompts.map((p) => p.steered?.strength)).toEqual([undefined, 2])
    expect([live.nameOf(0), live.nameOf(1)]).toEqual(['the prompt as it is', 'the steered prompt'])
    // Another strength takes the steered one's place.
    steering.strength = -1
    await steering.read('blocks.1.attn_out', toward, away)
    expect(live.prompts.map((p) => p.steered?.strength)).toEqual([undefined, -1])
    // Of more than the server takes some are sent.
    await steering.read('blocks.1.attn_out', [6, 7, 8, 9, 10, 11], away)
    expect(source.asked).toContain('POST directions {"run":0,"projection":"p","version":"v1","component":"attn_out","layer":1,"toward":[6,7,9,10],"away":[0,1,2,3]}')
  })
  it('refuses a strength that steers nothing', async () => {
    const { steering, live, source } = make()
    await live.read(run, ' a', false)
    for (const strength of [0, NaN, 7.5, -8]) {
      steering.strength = strength
      await steering.read('blocks.1.attn_out', [6, 7, 8, 9], [0, 1, 2, 3])
      expect(steering.error).toBe('The strength is a number from -7 to 7, and not 0.')
    }
    expect(source.asked.filter((path) => path.startsWith('POST directions'))).toEqual([])
  })
  it('sends some of many, evenly', () => {
    const many = Array.from({ length: 301 }, (_, i) => i)
    const some = evenly(many, 100)
    expect(some.length).toBe(100)
    expect(new Set(some).size).toBe(100)
    expect(some.at(-1)).toBeGreaterThan(296)
  })
})
