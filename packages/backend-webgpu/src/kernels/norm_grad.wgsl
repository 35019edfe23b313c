// The gradient of RMSNorm by its input, one workgroup per row: with s = 1 / sqrt(mean(x^2) + eps) and g = cotangent weight,
// y = s (g - x s^2 mean(g x)) + residual. Each row's s is kept for the gradient by the weight.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> cotangent: array<f32>;
@group(0) @binding(4) var<storage, read> weight: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverses: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
//#if RESIDUAL
@group(0) @binding(7) var<storage, read> residual: array<f32>;
//#endif

var<workgroup> partial: array<vec2f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = group.x;
  let source = n * P.x_stride;
  let source_dy = n * P.cotangent_stride;
  var sums = vec2f(0.0); // of x^2 and g x
  for (var i = lane; i < P.width; i += 64u) {
    let value = x[source + i];
    sums = fma(vec2f(value, cotangent[source_dy + i] * weight[i]), vec2f(value), sums);
  }
  partial[lane] = sums;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  let s = inverseSqrt(partial[0].x / f32(P.width) + P.eps);
  let along = s * s * partial[0].y / f32(P.width);
  if (lane == 0u) {
    inverses[n] = s;
  }
  for (var i = lane; i < P.width; i += 64u) {
    let own = s * (cotangent[source_dy + i] * weight[i] - x[source + i] * along);
//#if RESIDUAL
    y[n * P.y_stride + i] = own + residual[n * P.residual_stride + i];
//#else
    y[n * P.y_stride + i] = own;
//#endif
  }
}
