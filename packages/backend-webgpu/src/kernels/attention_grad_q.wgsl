// The gradient of attention by its queries (FlashAttention, arXiv 2205.14135, appendix B): an invocation per row and head
// goes over the keys that its row sees, in blocks of four, and computes their weights again from logSumExp.

@group(0) @binding(2) var<storage, read> q: array<vec2f>;
@group(0) @binding(3) var<storage, read> k: array<vec2f>;
@group(0) @binding(4) var<storage, read> v: array<vec2f>;
@group(0) @binding(5) var<storage, read> cotangent: array<vec2f>;
@group(0) @binding(6) var<storage, read> rows: array<vec2f>; // attention_grad_rows.wgsl
@group(0) @binding(7) var<storage, read> bounds: array<vec2u>;
@group(0) @binding(8) var<storage, read_write> y: array<vec2f>;

//#include "math"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  let head = id.y;
  if (n >= step.rows) {
    return;
  }
  let query = n * P.q_stride + head * P.d2;
  let source_dy = n * P.cotangent_stride + head * P.d2;
  let to = n * P.y_stride + head * P.d2;
  let kv = (head / P.group) * P.d2;
  let first = bounds[n].x;
  let own = rows[n * P.heads + head];
  for (var t = first; t <= n; t += 4u) {
//#repeat J 4
    let at_@J = min(t + @Ju, n) * P.k_stride + kv;
    let at_v_@J = min(t + @Ju, n) * P.v_stride + kv;
    var score_@J = 0.0;
    var of_value_@J = 0.0;
//#end
    for (var i = 0u; i < P.d2; i++) {
      let part = q[query + i];
      let dy = cotangent[source_dy + i];
//#repeat J 4
      score_@J += dot(part, k[at_@J + i]);
      of_value_@J += dot(dy, v[at_v_@J + i]);
//#end
    }
//#repeat J 4
    let p_@J = select(0.0, exp_negative(score_@J * P.scale - own.x), t + @Ju <= n);
    let s_@J = p_@J * (of_value_@J - own.y) * P.scale;
//#end
    for (var i = 0u; i < P.d2; i++) {
      var result = select(y[to + i], vec2f(0.0), t == first);
//#repeat J 4
      result = fma(vec2f(s_@J), k[at_@J + i], result);
//#end
      y[to + i] = result;
    }
  }
}
