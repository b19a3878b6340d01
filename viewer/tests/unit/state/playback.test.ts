import { beforeEach, describe, expect, it } from 'vitest'
import { Playback } from '../../../src/state/playback.svelte'
import { cloud } from './example'

let shown: number[]
let calm: boolean
let playback: Playback
beforeEach(() => {
  shown = []
  calm = false
  playback = new Playback(
    () => shown.push(playback.layer),
    () => calm,
  )
  playback.open(cloud())
})
/** Frames of 50 ms until it stops, 200 at most. */
function run(from = 0): { mixes: number[]; seconds: number } {
  const mixes = []
  let now = from
  for (let i = 0; i < 200 && playback.playing; ++i) {
    playback.tick((now += 50))
    mixes.push(playback.mix)
  }
  return { mixes, seconds: (now - from) / 1000 }
}

describe('Playback', () => {
  it('steps from layer to layer and stays at the ends', () => {
    playback.stepLayer(1)
    playback.stepLayer(1)
    playback.stepLayer(1)
    playback.stepLayer(1)
    expect(shown).toEqual([0, 1, 2])
    playback.setLayer(-1)
    playback.stepLayer(-1)
    expect(playback.layer).toBe(2)
  })
  it('plays all layers once, smoothly, and stops at the last', () => {
    playback.play()
    const { mixes, seconds } = run()
    expect(shown).toEqual([0, 1, 2])
    expect(playback.playing).toBe(false)
    expect(Math.max(...mixes)).toBeGreaterThan(0.9)
    expect(playback.mix).toBe(0)
    expect(seconds).toBeGreaterThan(2)
    expect(seconds).toBeLessThan(3)
  })
  it('does not jump over layers after a long pause between frames', () => {
    playback.play()
    playback.tick(50)
    playback.tick(60_000)
    expect(playback.layer).toBe(0)
  })
  it('goes on where it was paused, and from the start at the end', () => {
    playback.play()
    for (let now = 50; now < 700; now += 50) playback.tick(now)
    const { mix, layer } = playback
    playback.play()
    expect(playback.playing).toBe(false)
    playback.play()
    expect([playback.mix, playback.layer]).toEqual([mix, layer])
    run()
    playback.play()
    expect(playback.layer).toBe(0)
  })
  it('moves nothing for those who asked for calm', () => {
    calm = true
    playback.play()
    expect(new Set(run().mixes)).toEqual(new Set([0]))
    expect(playback.layer).toBe(2)
  })
  it('has nothing to play where there is one layer', () => {
    playback.open(cloud({ segments: [['attn_out', 0, 18, 0]] }))
    playback.play()
    playback.stepLayer(1)
    expect([playback.playing, playback.layer, shown]).toEqual([false, -1, []])
  })
  it('comes back from a link only to layers that there are', () => {
    playback.restore({ layer: 7 })
    expect(playback.layer).toBe(-1)
    playback.restore({ layer: 2 })
    expect(playback.shared()).toEqual({ layer: 2 })
  })
})
