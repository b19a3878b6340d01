import { describe, expect, it } from 'vitest'
import { selectedBits, Telling } from '../../../src/state/telling'
import { ScriptedSource } from './example'

const FOUND = 2
const shown = { run: 0, name: 'map', version: 'a' }
const path = 'runs/0/projections/map/selection@a'

function telling(fail = () => false) {
  const told: string[] = []
  const source = new ScriptedSource({})
  source.tell = async (to, bytes, version) => {
    await Promise.resolve()
    told.push(`${to}@${version} ${[...bytes]}`)
    if (fail()) throw new Error('the server does not answer')
  }
  return { telling: new Telling(source), told }
}

describe('selectedBits', () => {
  it('has a bit for each row that is selected, and none for those that a search found', () => {
    expect([...selectedBits(Uint8Array.of(1, 0, 3, FOUND, 0, 0, 0, 0, 1))]).toEqual([0b101, 1])
    expect([...selectedBits(new Uint8Array(0))]).toEqual([])
  })
})

describe('Telling', () => {
  it('tells what changed, once', async () => {
    const { telling: one, told } = telling()
    await one.tell(shown, Uint8Array.of(1, 0))
    await one.tell(shown, Uint8Array.of(1, FOUND))
    await one.tell(shown, Uint8Array.of(0, 1))
    expect(told).toEqual([`${path} 1`, `${path} 2`])
  })
  it('says of another map or version that nothing is selected', async () => {
    const { telling: one, told } = telling()
    await one.tell(shown, Uint8Array.of(0))
    await one.tell({ ...shown, version: 'b' }, Uint8Array.of(0))
    expect(told).toHaveLength(2)
  })
  it('ends with the newest, one message at a time', async () => {
    const { telling: one, told } = telling()
    await Promise.all([one.tell(shown, Uint8Array.of(1)), one.tell(shown, Uint8Array.of(0, 1)), one.tell(shown, Uint8Array.of(0, 0, 1))])
    expect(told).toEqual([`${path} 1`, `${path} 4`])
  })
  it('tells again what did not arrive, and goes on', async () => {
    let failures = 1
    const { telling: one, told } = telling(() => failures-- > 0)
    const first = one.tell(shown, Uint8Array.of(1))
    await Promise.all([first, one.tell(shown, Uint8Array.of(0, 1))])
    await one.tell(shown, Uint8Array.of(1))
    expect(told).toEqual([`${path} 1`, `${path} 2`, `${path} 1`])
  })
})
