// y = x / sqrt(mean(x^2) + eps) * weight: one workgroup per row.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = group.x;
  let source = P.x_offset + n * P.x_stride;
  var squares = 0.0;
  for (var i = lane; i < P.width; i += 64u) {
    let value = x[source + i];
    squares = fma(value, value, squares);
  }
  partial[lane] = squares;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  let norm = inverseSqrt(partial[0] / f32(P.width) + P.eps);
  let to = P.y_offset + n * P.y_stride;
  for (var i = lane; i < P.width; i += 64u) {
    y[to + i] = x[source + i] * norm * weight[i];
  }
}
