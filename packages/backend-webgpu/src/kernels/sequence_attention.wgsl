// Attention within whole sequences, as training has it: an invocation per row and head goes over the keys of its
// sequence up to its own row, in blocks of four, with a running softmax and a running result in y. Scores are in base 2
// and the running maximum is an integer, as in attention_rows.wgsl.

@group(0) @binding(2) var<storage, read> q: array<vec2f>;
@group(0) @binding(3) var<storage, read> k: array<vec2f>;
@group(0) @binding(4) var<storage, read> v: array<vec2f>;
/// Of each row, the first row of its sequence and the row behind its last.
@group(0) @binding(5) var<storage, read> bounds: array<vec2u>;
@group(0) @binding(6) var<storage, read_write> y: array<vec2f>;
//#if LOG_SUM_EXP
@group(0) @binding(7) var<storage, read_write> log_sum_exp: array<f32>;
//#endif

//#include "math"

const lowest = -3.0e38;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let head = id.y;
  if (n >= step.rows) {
    return;
  }
  let query = n * P.q_stride + head * P.d2;
  let to = n * P.y_stride + head * P.d2;
  let kv = (head / P.group) * P.d2;
  let first = bounds[n].x;
  var most = lowest;
  var sum = 0.0;
  for (var t = first; t <= n; t += 4u) {
//#repeat J 4
    let at_@J = min(t + @Ju, n) * P.k_stride + kv;
    var score_@J = 0.0;
//#end
    for (var i = 0u; i < P.d2; i++) {
      let part = q[query + i];
//#repeat J 4
      score_@J += dot(part, k[at_@J + i]);
//#end
    }
    var block_most = most;
//#repeat J 4
    score_@J = select(lowest, score_@J * P.scale, t + @Ju <= n);
    block_most = max(block_most, score_@J);
//#end
    let raised = select(most, ceil(block_most), block_most > most);
    let factor = power_of_two(most - raised);
    most = raised;
    sum *= factor;
//#repeat J 4
    let p_@J = exp2_exact(score_@J - most);
    sum += p_@J;
//#end
    for (var i = 0u; i < P.d2; i++) {
      var result = vec2f(0.0);
//#repeat J 4
      result = fma(vec2f(p_@J), v[at_@J + i], result);
//#end
      y[to + i] = select(y[to + i] * factor, vec2f(0.0), t == first) + result;
    }
  }
  for (var i = 0u; i < P.d2; i++) {
    y[to + i] /= sum;
  }
//#if LOG_SUM_EXP
  log_sum_exp[n * P.sum_stride + head] = most * ln2_high + (most * ln2_low + natural_log(sum));
//#endif
}
