import { beforeEach, describe, expect, it } from 'vitest'
import { Hiding } from '../../../src/state/hiding.svelte'
import { cloud } from './example'

let hiding: Hiding
let changes = 0
beforeEach(() => {
  changes = 0
  hiding = new Hiding(() => ++changes)
  hiding.open(cloud(), {})
  hiding.applyFilter()
})

describe('Hiding', () => {
  it('counts what is left', () => {
    expect(hiding.visibleCount).toBe(18)
    hiding.toggle('layer', 1)
    expect(hiding.visibleCount).toBe(12)
    expect(hiding.visible(6)).toBe(false)
    hiding.toggle('layer', 1)
    expect(hiding.visibleCount).toBe(18)
    expect(changes).toBe(3)
  })
  it('leaves one entry alone, and all again', () => {
    hiding.only('layer', 2, [0, 1, 2])
    expect(hiding.visibleCount).toBe(6)
    expect(hiding.visible(12)).toBe(true)
    hiding.only('layer', 2, [0, 1, 2])
    expect(hiding.visibleCount).toBe(18)
    expect(hiding.any).toBe(false)
  })
  it('hides first tokens, and labels', () => {
    hiding.showFirst = false
    hiding.applyFilter()
    expect(hiding.visibleCount).toBe(12) // two of six
    hiding.toggle('label', -1)
    expect(hiding.visibleCount).toBe(12) // the token without a label is a first one
    hiding.toggle('label', 0)
    expect(hiding.visibleCount).toBe(6)
    hiding.showAll()
    expect(hiding.visibleCount).toBe(12)
  })
  it('shows one layer while it is played', () => {
    hiding.showOnly(1)
    expect(hiding.visibleCount).toBe(6)
    hiding.applyFilter()
    expect(hiding.visibleCount).toBe(6)
    hiding.showOnly(-1)
    expect(hiding.visibleCount).toBe(18)
  })
  it('goes through a link', () => {
    hiding.toggle('component', 0)
    hiding.toggle('token', -1)
    hiding.showFirst = false
    const link = hiding.shared()
    const again = new Hiding(() => {})
    again.open(cloud(), link)
    again.applyFilter()
    expect(again.shared()).toEqual(link)
    expect(again.visibleCount).toBe(0)
  })
  it('opens another cloud with nothing hidden', () => {
    hiding.toggle('layer', 1)
    hiding.showOnly(0)
    hiding.open(cloud(), {})
    hiding.applyFilter()
    expect(hiding.visibleCount).toBe(18)
  })
})
