// The gradient of silu(gate) up by both, one invocation per element. The sigmoid is computed again.

@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read> up: array<f32>;
@group(0) @binding(4) var<storage, read> cotangent: array<f32>;
@group(0) @binding(5) var<storage, read_write> gate_grad: array<f32>;
@group(0) @binding(6) var<storage, read_write> up_grad: array<f32>;

//#include "math"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i < P.width) {
    let z = gate[n * P.gate_stride + i];
    let dy = cotangent[n * P.cotangent_stride + i];
    let s = sigmoid(z);
    up_grad[n * P.up_grad_stride + i] = dy * (z * s);
    gate_grad[n * P.gate_grad_stride + i] = dy * up[n * P.up_stride + i] * (s * fma(z, 1.0 - s, 1.0));
  }
}
