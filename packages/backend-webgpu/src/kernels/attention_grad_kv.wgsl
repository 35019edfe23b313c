// The gradient of attention by keys and values: an invocation per row and key/value head goes over the rows that see its
// row, in blocks of four, for each query head that shares it, and computes their weights again from logSumExp.

@group(0) @binding(2) var<storage, read> q: array<vec2f>;
@group(0) @binding(3) var<storage, read> k: array<vec2f>;
@group(0) @binding(4) var<storage, read> v: array<vec2f>;
@group(0) @binding(5) var<storage, read> cotangent: array<vec2f>;
@group(0) @binding(6) var<storage, read> rows: array<vec2f>; // attention_grad_rows.wgsl
@group(0) @binding(7) var<storage, read> bounds: array<vec2u>;
@group(0) @binding(8) var<storage, read_write> k_grad: array<vec2f>;
@group(0) @binding(9) var<storage, read_write> v_grad: array<vec2f>;

//#include "math"

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let kv = id.y;
  if (t >= step.rows) {
    return;
  }
  let key = t * P.k_stride + kv * P.d2;
  let value = t * P.v_stride + kv * P.d2;
  let to_k = t * P.k_grad_stride + kv * P.d2;
  let to_v = t * P.v_grad_stride + kv * P.d2;
  let end = bounds[t].y;
  for (var head = kv * P.group; head < (kv + 1u) * P.group; head++) {
    for (var n = t; n < end; n += 4u) {
//#repeat J 4
      let row_@J = min(n + @Ju, end - 1u);
      let at_@J = row_@J * P.q_stride + head * P.d2;
      let at_dy_@J = row_@J * P.cotangent_stride + head * P.d2;
      var score_@J = 0.0;
      var of_value_@J = 0.0;
//#end
      for (var i = 0u; i < P.d2; i++) {
        let key_part = k[key + i];
        let value_part = v[value + i];
//#repeat J 4
        score_@J += dot(q[at_@J + i], key_part);
        of_value_@J += dot(cotangent[at_dy_@J + i], value_part);
//#end
      }
//#repeat J 4
      let own_@J = rows[row_@J * P.heads + head];
      let p_@J = select(0.0, exp_negative(score_@J * P.scale - own_@J.x), n + @Ju < end);
      let s_@J = p_@J * (of_value_@J - own_@J.y) * P.scale;
//#end
      let begins = n == t && head == kv * P.group;
      for (var i = 0u; i < P.d2; i++) {
        var by_key = select(k_grad[to_k + i], vec2f(0.0), begins);
        var by_value = select(v_grad[to_v + i], vec2f(0.0), begins);
//#repeat J 4
        by_key = fma(vec2f(s_@J), q[at_@J + i], by_key);
        by_value = fma(vec2f(p_@J), cotangent[at_dy_@J + i], by_value);
//#end
        k_grad[to_k + i] = by_key;
        v_grad[to_v + i] = by_value;
      }
    }
  }
}
