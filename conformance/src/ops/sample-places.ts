// Which rows or columns of something large are computed exactly: both ends, what is beside the edges of tiles, and random
// ones.

import { sampledColumns } from "../comparison/constants.ts";
import type { Random } from "../random.ts";

/** So many of `count` places at most, edges first. */
export function samplePlaces(count: number, stream: Random, most: number = sampledColumns): readonly number[] {
  const places = new Set<number>();
  const edges = [0, 16, 32, 64, 128, 256, 1024, Math.floor(count / 2), count - (count % 64), count];
  const fits = 3 * edges.length <= most;
  for (const edge of fits ? edges : [0, count]) {
    for (const place of [edge - 1, edge, edge + 1]) if (place >= 0 && place < count) places.add(place);
  }
  while (places.size < Math.min(most, count)) places.add(stream.integer(count));
  return [...places];
}
