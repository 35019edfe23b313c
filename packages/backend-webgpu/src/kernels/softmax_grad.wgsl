// The gradient of log-probabilities by a piece of the logits, which it takes the place of:
// x = cotangent ((v = target) - exp(x scale - logSumExp)) scale, and 0 in rows without a target.

@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<i32>;
@group(0) @binding(4) var<storage, read> log_sum_exp: array<f32>;
@group(0) @binding(5) var<storage, read> cotangent: array<f32>;

//#include "math"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let n = id.y;
  if (i >= P.width) {
    return;
  }
  let at = n * P.x_stride + i;
  let wanted = targets[n];
  let p = exp_negative(x[at] * P.scale - log_sum_exp[n * P.sum_stride]);
  let own = select(0.0, 1.0, wanted >= 0 && u32(wanted) == P.first + i);
  x[at] = select(cotangent[n * P.cotangent_stride] * (own - p) * P.scale, 0.0, wanted < 0);
}
