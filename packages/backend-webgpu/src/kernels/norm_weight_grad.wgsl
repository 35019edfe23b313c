// The gradient of RMSNorm by its weight: y = residual + the sum over rows, in their order, of cotangent x s. An
// invocation per column.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> cotangent: array<f32>;
@group(0) @binding(4) var<storage, read> inverses: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
//#if RESIDUAL
@group(0) @binding(6) var<storage, read> residual: array<f32>;
//#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= P.width) {
    return;
  }
//#if RESIDUAL
  var sum = residual[i];
//#else
  var sum = 0.0;
//#endif
  for (var n = 0u; n < step.rows; n++) {
    sum = fma(cotangent[n * P.cotangent_stride + i] * x[n * P.x_stride + i], inverses[n], sum);
  }
  y[i] = sum;
}
