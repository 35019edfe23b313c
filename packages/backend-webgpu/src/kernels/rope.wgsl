// Pairs (2i, 2i + 1) of each head turn by their row's angle i. Cosines and sines come from the host, which computes
// them in float64: WGSL's own are only accurate to 2^-11. BACKWARDS: they turn back, as gradients do.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> rotation: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.pairs) {
//#if BACKWARDS
    let turn = rotation[P.table_offset + n * P.table_stride + i % P.head_pairs] * vec2f(1.0, -1.0);
//#else
    let turn = rotation[P.table_offset + n * P.table_stride + i % P.head_pairs];
//#endif
    let source = P.x_offset + n * P.x_stride + 2u * i;
    let a = x[source];
    let b = x[source + 1u];
    let to = P.y_offset + n * P.y_stride + 2u * i;
    y[to] = a * turn.x - b * turn.y;
    y[to + 1u] = a * turn.y + b * turn.x;
  }
}
