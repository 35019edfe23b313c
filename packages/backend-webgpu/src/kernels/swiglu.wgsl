// y = silu(gate) * up, one invocation per element.

@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> up: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

//#include "math"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.width) {
    let z = gate[P.gate_offset + n * P.gate_stride + i];
    y[P.y_offset + n * P.y_stride + i] = silu(z) * up[P.up_offset + n * P.up_stride + i];
  }
}
