// What the gradient of attention needs of each row and head beside its query: (logSumExp, cotangent . out), side by side.

@group(0) @binding(2) var<storage, read> out: array<vec2f>;
@group(0) @binding(3) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(4) var<storage, read> cotangent: array<vec2f>;
@group(0) @binding(5) var<storage, read_write> rows: array<vec2f>; // [N, H]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let head = id.y;
  if (n >= step.rows) {
    return;
  }
  var sum = 0.0;
  for (var i = head * P.d2; i < (head + 1u) * P.d2; i++) {
    sum += dot(out[n * P.out_stride + i], cotangent[n * P.cotangent_stride + i]);
  }
  rows[n * P.heads + head] = vec2f(log_sum_exp[n * P.sum_stride + head], sum);
}
