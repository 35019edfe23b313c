// AdamW with the gradient clipped to a global norm, in place: the formulas stand in core's record of the op.

@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> squares: array<f32>;
@group(0) @binding(4) var<storage, read> settings: array<f32>;
@group(0) @binding(5) var<storage, read_write> weight: array<f32>;
@group(0) @binding(6) var<storage, read_write> first_moment: array<f32>;
@group(0) @binding(7) var<storage, read_write> second_moment: array<f32>;

@compute @workgroup_size(256)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let clip = select(1.0, P.max_norm * inverseSqrt(squares[0]), squares[0] > P.max_squares);
  let rate = settings[0];
  let keeps = 1.0 - rate * P.weight_decay;
  for (var i = id.x; i < P.words; i += groups.x * 256u) {
    let g = clip * gradient[i];
    let m = P.beta1 * first_moment[i] + P.rest1 * g;
    let v = P.beta2 * second_moment[i] + P.rest2 * (g * g);
    let corrected = v / settings[2];
    // The root of a subnormal number is far below eps; its reciprocal is not finite everywhere.
    let root = select(0.0, corrected * inverseSqrt(corrected), corrected >= 0x1p-126);
    first_moment[i] = m;
    second_moment[i] = v;
    weight[i] = weight[i] * keeps - rate * (m / settings[1] / (root + P.eps));
  }
}
