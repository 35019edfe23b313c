// Log-probabilities of targets over a vocabulary that comes in pieces, one workgroup per row: what is known of a row
// behind a piece is its largest score, the sum of exp(score - largest) and the target's score.

@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<i32>;
@group(0) @binding(4) var<storage, read_write> states: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<storage, read_write> log_sum_exp: array<f32>;

//#include "math"

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = group.x;
  let source = n * P.x_stride;
  var state = states[n];
  if (P.begins == 1u) {
    state = vec4f(-3.0e38, 0.0, 0.0, 0.0);
  }
  var most = state.x;
  for (var i = lane; i < P.width; i += 64u) {
    most = max(most, x[source + i] * P.scale);
  }
  partial[lane] = most;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      partial[lane] = max(partial[lane], partial[lane + half]);
    }
    workgroupBarrier();
  }
  most = partial[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var i = lane; i < P.width; i += 64u) {
    sum += exp_negative(x[source + i] * P.scale - most);
  }
  partial[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half >>= 1u) {
    if (lane < half) {
      partial[lane] += partial[lane + half];
    }
    workgroupBarrier();
  }
  if (lane > 0u) {
    return;
  }
  sum = fma(state.y, exp_negative(state.x - most), partial[0]);
  let wanted = targets[n];
  var score = state.z;
  if (wanted >= 0 && u32(wanted) >= P.first && u32(wanted) - P.first < P.width) {
    score = x[source + u32(wanted) - P.first] * P.scale;
  }
  states[n] = vec4f(most, sum, score, 0.0);
  if (P.ends == 1u) {
    let logarithm = most + natural_log(sum);
    y[n * P.y_stride] = select(score - logarithm, 0.0, wanted < 0);
    log_sum_exp[n * P.sum_stride] = logarithm;
  }
}
