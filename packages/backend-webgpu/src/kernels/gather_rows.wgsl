// y[i] = x[rows[i]], densely: picks the rows that a run asked for, and takes slices out of wider rows.

struct Parameters {
  width: u32,
  x_offset: u32,
  x_stride: u32,
  y_offset: u32,
  y_stride: u32,
  /// 0 takes all rows in order.
  selected: u32,
}

@group(0) @binding(0) var<uniform> P: Parameters;
//#include "step"
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.width) {
    let row = select(n, rows[n], P.selected == 1u);
    y[P.y_offset + n * P.y_stride + i] = x[P.x_offset + row * P.x_stride + i];
  }
}
