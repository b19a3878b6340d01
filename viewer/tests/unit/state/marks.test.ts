import { beforeEach, describe, expect, it } from 'vitest'
import { Marks } from '../../../src/state/marks.svelte'
import { cloud, withoutIds } from './example'

let changes = 0
let marks: Marks
beforeEach(() => {
  changes = 0
  marks = new Marks(() => ++changes)
  marks.open(cloud())
})

describe('Marks', () => {
  it('replaces, adds and subtracts', () => {
    marks.select([1, 2, 3], 'replace')
    marks.select([3, 4], 'add')
    expect(marks.selectedRows()).toEqual([1, 2, 3, 4])
    marks.select([2], 'subtract')
    expect(marks.selectedRows()).toEqual([1, 3, 4])
    expect(marks.selectedCount).toBe(3)
    marks.select([0], 'replace')
    expect(marks.selectedRows()).toEqual([0])
    expect(changes).toBe(4)
  })
  it('finds tokens by what they hold, and in quotes by what they are', () => {
    const finds = (words: string) => {
      marks.search = words
      marks.runSearch()
      return [...marks.state].flatMap((s, i) => (s & 2 && i < 6 ? [i] : []))
    }
    expect(finds('A')).toEqual([0, 3, 4])
    expect(finds('"a"')).toEqual([])
    expect(finds('"·a"')).toEqual([0, 3, 4])
    expect(finds('c')).toEqual([2, 5])
    expect(marks.found).toBe(6)
    expect(finds('')).toEqual([])
  })
  it('finds tokens that have text and no id', () => {
    marks.open(cloud({}, {}, withoutIds))
    marks.search = 'a'
    marks.runSearch()
    expect([...marks.state].flatMap((s, i) => (s & 2 && i < 6 ? [i] : []))).toEqual([0, 4])
    expect(marks.matches).toEqual([{ text: ' a', count: 6 }])
  })
  it('finds positions, from the start and from each sequence’s end', () => {
    const finds = (words: string) => {
      marks.search = words
      marks.runSearch()
      return [...marks.state].flatMap((s, i) => (s & 2 && i < 6 ? [i] : []))
    }
    expect(finds('@-1')).toEqual([3, 5])
    expect(finds('@-2:')).toEqual([2, 3, 4, 5])
    expect(finds('@-3:-1')).toEqual([1, 2, 4])
    expect(finds('@0')).toEqual([0, 4])
    expect(finds('@1:3')).toEqual([1, 2, 5])
    expect(finds('@')).toEqual([])
  })
  it('keeps what is selected apart from what is found', () => {
    marks.select([0, 1], 'replace')
    marks.search = 'b'
    marks.runSearch()
    expect([marks.selectedCount, marks.found, marks.any]).toEqual([2, 3, true])
    marks.search = ''
    marks.runSearch()
    expect([marks.selectedCount, marks.found]).toEqual([2, 0])
    marks.clear()
    expect(marks.any).toBe(false)
  })
  it('comes back from a link, without rows that there are not', () => {
    marks.restore({ selected: [3, 17, 18, -1], search: 'b' })
    expect(marks.selectedRows()).toEqual([3, 17])
    expect(marks.found).toBe(3)
    expect(marks.shared()).toEqual({ selected: [3, 17], search: 'b' })
  })
  it('forgets another cloud’s marks', () => {
    marks.restore({ selected: [3], search: 'b' })
    marks.open(cloud())
    expect([marks.selectedCount, marks.found, marks.search]).toEqual([0, 0, ''])
  })
})
