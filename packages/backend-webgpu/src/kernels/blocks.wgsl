// Where positions of a sequence are in its pool: [blocks][heads of this part][BLOCK][D4 * 4]. A table has the numbers
// of the sequence's blocks in order.

@group(0) @binding(6) var<storage, read> tables: array<u32>;

/// Row of a head's key or value at a position, for the table that begins at an entry.
fn row_of(table: u32, head: u32, position: u32) -> u32 {
  return (tables[table + position / BLOCK] * P.kv_heads + head) * BLOCK + position % BLOCK;
}
