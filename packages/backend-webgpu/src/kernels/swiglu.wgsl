// y = silu(gate) * up, one invocation per element.

struct Parameters {
  width: u32,
  gate_offset: u32,
  gate_stride: u32,
  up_offset: u32,
  up_stride: u32,
  y_offset: u32,
  y_stride: u32,
  selected: u32,
}

@group(0) @binding(0) var<uniform> P: Parameters;
//#include "step"
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
