// y = a + b, one invocation per element.

@group(0) @binding(2) var<storage, read> a: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.width) {
    y[P.y_offset + n * P.y_stride + i] = a[P.a_offset + n * P.a_stride + i] + b[P.b_offset + n * P.b_stride + i];
  }
}
