import type { MapScene } from '../map/scene'
import type { SearchClient } from './client'
import type { Filter } from './visible'

/** Rows that an outline on the canvas holds; side by side, of the layer or run in whose picture it was begun. */
export async function rowsWithin(scene: MapScene, searcher: SearchClient, filter: Filter, mix: number, polygon: Float32Array): Promise<Uint32Array> {
  const { cell } = scene.local(polygon[0], polygon[1])
  const outline = cell ? polygon.map((v, i) => v - (i % 2 ? cell.y : cell.x)) : polygon
  const shown = cell && cell.layer >= 0 ? { ...filter, onlyLayer: cell.layer } : filter
  const { camera } = scene
  return (await searcher.lasso(camera.matrix(), camera.width, camera.height, outline, shown, mix, cell?.side ?? 0)).rows
}
