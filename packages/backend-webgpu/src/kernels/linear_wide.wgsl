// y = x W^T for few rows of x, on GPUs: a workgroup computes ROWS outputs for TOKENS rows of x together. Neighbouring
// invocations read neighbouring words of W; their sums are added across subgroups where there are any (SUBGROUPS),
// otherwise in workgroup memory. Neighbouring workgroups have the same rows of W, which caches then hold.

//#include "linear_common"

var<workgroup> shared_sums: array<f32, SHARED>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
//#if SUBGROUPS
  @builtin(subgroup_size) subgroup_size: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
//#endif
) {
  let count = select(step.rows, step.selected, P.selected == 1u);
  let token = group.x * TOKENS;
  let row = group.y * ROWS;
  let last = P.rows - 1u;
//#repeat R ROWS
  let row_@R = min(row + @Ru, last);
//#end
//#repeat T TOKENS
  let x_@T = P.x_offset + min(token + @Tu, count - 1u) * P.x_stride;
//#if NORM
  var squares_@T = 0.0;
//#endif
//#repeat R ROWS
  var sum_@R_@T = 0.0;
//#end
//#end
  for (var i = lane; i < P.units * P.four; i += 64u) {
    let u = i >> 2u;
    let j = i & 3u;
    let at = u * 8u + j;
//#if NORM
    let gain = mat2x4f(g[at], g[at + 4u]);
//#endif
//#repeat T TOKENS
    var low_@T = x_at(x_@T, at);
    var high_@T = x_at(x_@T, at + 4u);
//#if NORM
    squares_@T += dot(low_@T, low_@T) + dot(high_@T, high_@T);
    low_@T *= gain[0];
    high_@T *= gain[1];
//#endif
//#end
//#repeat R ROWS
    {
      let w = fetch(row_@R, u);
      let q = quads(w, j);
//#repeat T TOKENS
//#if SCALED
      sum_@R_@T += w.d * (dot(q[0], low_@T) + dot(q[1], high_@T));
//#else
      sum_@R_@T += dot(q[0], low_@T) + dot(q[1], high_@T);
//#endif
//#end
    }
//#end
  }

  // Sums: SLOTS of them for each of PARTIALS invocations or subgroups.
//#if SUBGROUPS
  let partials = max(1u, 64u / subgroup_size);
  let mine = lane / subgroup_size;
//#repeat T TOKENS
//#repeat R ROWS
  sum_@R_@T = subgroupAdd(sum_@R_@T);
//#end
//#if NORM
  squares_@T = subgroupAdd(squares_@T);
//#endif
//#end
  if (subgroup_lane == 0u) {
//#else
  let partials = 64u;
  let mine = lane;
  {
//#endif
//#repeat T TOKENS
//#repeat R ROWS
    shared_sums[mine * SLOTS + @T * (ROWS + 1u) + @R] = sum_@R_@T;
//#end
//#if NORM
    shared_sums[mine * SLOTS + @T * (ROWS + 1u) + ROWS] = squares_@T;
//#endif
//#end
  }
  workgroupBarrier();
  if (lane < SLOTS) {
    var total = 0.0;
    for (var i = 0u; i < partials; i++) {
      total += shared_sums[i * SLOTS + lane];
    }
    shared_sums[lane] = total;
  }
  workgroupBarrier();
  let t = lane / ROWS;
  let r = lane % ROWS;
  if (t < TOKENS && token + t < count && row + r < P.rows) {
    let base = t * (ROWS + 1u);
//#if NORM
    let norm = inverseSqrt(shared_sums[base + ROWS] / f32(P.width) + P.eps);
//#else
    let norm = 1.0;
//#endif
//#if SWIGLU
    if ((r & 1u) == 0u) {
      store_gated(token + t, row + r, shared_sums[base + r] * norm, shared_sums[base + r + 1u] * norm);
    }
//#else
    store(token + t, row + r, shared_sums[base + r] * norm);
//#endif
  }
}
