import type { ProjectionInfo } from './types'

/** Other rows of a run on the axes of one of its maps, as the server knows them: "stream@mlp_out@5". */
export const othersName = (map: string, components: string[], layers: string) => `${map}@${components.join(',')}@${layers}`
/** The map whose axes these are: the name itself of an ordinary one. */
export const mapOf = (name: string) => name.split('@')[0]
/** What was asked for of the map's own; null: an ordinary name. */
export function othersOf(name: string): { components: string[]; layers: string } | null {
  const [, components, layers] = name.split('@')
  return layers === undefined ? null : { components: components.split(','), layers }
}

/** "0:30" for people. The end of a range is not in it. */
export function layerWords(range: string): string {
  const [begin, end] = range.split(':')
  if (end === undefined) return `layer ${begin}`
  if ((begin === '' || begin === '0') && end === '') return 'all layers'
  if (end === '') return `layers from ${begin}`
  const last = Number(end) - 1
  return last === Number(begin || 0) ? `layer ${last}` : `layers ${begin || 0} to ${last}`
}
/** "mlp_out of layer 5". */
export const rowsInWords = ({ components, layers }: Pick<ProjectionInfo['selection'], 'components' | 'layers'>) =>
  `${components.join(', ') || 'all components'} of ${layerWords(layers)}`
