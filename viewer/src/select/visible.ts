/** Which points are drawn: the same rule as the shader's, for the lasso, counts and exports. */
export interface Filter {
  /** 0: hidden. Indexed by component, layer + 1, label + 1, token rank (255: all later ranks) and expert + 1. */
  component: Uint8Array
  layer: Uint8Array
  label: Uint8Array
  token: Uint8Array
  expert: Uint8Array
  /** Hide position 0, whose norm and place flatten everything else. */
  hideFirst: boolean
  /** The only layer shown; -1: all. */
  onlyLayer: number
}

export interface FilterColumns {
  component: Uint8Array
  layer: Int16Array
  position: Int32Array
  label: Int32Array
  tokenRank: Uint16Array
  expert: Int16Array
}

export function openFilter(): Filter {
  const all = () => new Uint8Array(256).fill(255)
  return { component: all(), layer: all(), label: all(), token: all(), expert: all(), hideFirst: false, onlyLayer: -1 }
}

export function isVisible(filter: Filter, columns: FilterColumns, row: number): boolean {
  return (
    filter.component[columns.component[row]] > 0 &&
    filter.layer[Math.min(columns.layer[row] + 1, 255)] > 0 &&
    filter.label[Math.min(columns.label[row] + 1, 255)] > 0 &&
    filter.token[Math.min(columns.tokenRank[row], 255)] > 0 &&
    filter.expert[columns.expert[row] + 1] > 0 &&
    !(filter.hideFirst && columns.position[row] === 0) &&
    (filter.onlyLayer < 0 || columns.layer[row] === filter.onlyLayer)
  )
}
