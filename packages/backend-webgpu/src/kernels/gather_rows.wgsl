// y[n] = x[rows[n]], densely: picks the rows that a run asked for.

@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.width) {
    y[P.y_offset + n * P.y_stride + i] = x[P.x_offset + rows[n] * P.x_stride + i];
  }
}
