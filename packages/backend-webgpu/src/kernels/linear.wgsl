// y = x W^T in register tiles: an invocation computes ROWS outputs for TOKENS rows of x. Neighbouring invocations have
// neighbouring outputs and the same rows of x; neighbouring workgroups have the same rows of W, which caches then hold.
// Made for software adapters, which find shared memory slow and load for one invocation after another, also where all
// want the same: with subgroups each invocation of four loads one element of x and tells it to the others (SUBGROUPS).
// Quants are multiplied as they are, and the sum of what shares a scale is scaled (SCALED); formats with offsets, or
// two scales in a unit, have whole weights instead.

//#include "linear_common"

//#if SUBGROUPS
//#include "of_four"
//#endif

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_index) lane: u32,
//#if SUBGROUPS
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
//#endif
) {
  let count = select(step.rows, step.selected, P.selected == 1u);
  let token = group.x * TOKENS; // known to be the same for the workgroup
  let row = (group.y * WORKGROUP + lane) * ROWS;
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
//#if SUBGROUPS
  let part = subgroup_lane & 3u;
//#endif
  for (var u = 0u; u < P.units; u++) {
//#repeat R ROWS
    let w_@R = fetch(row_@R, u);
//#if SCALED
//#repeat T TOKENS
    var part_@R_@T = 0.0;
//#end
//#endif
//#end
    for (var j = 0u; j < P.four; j++) {
      let at = u * 8u + j;
//#if NORM
//#if SUBGROUPS
      let own_gain = vec2f(g[at][part], g[at + 4u][part]);
//#else
      let gain = mat2x4f(g[at], g[at + 4u]);
//#endif
//#endif
//#repeat T TOKENS
//#if SUBGROUPS
      var own_low_@T = x_element(x_@T, at, part);
      var own_high_@T = x_element(x_@T, at + 4u, part);
//#if NORM
      squares_@T += own_low_@T * own_low_@T + own_high_@T * own_high_@T;
      own_low_@T *= own_gain.x;
      own_high_@T *= own_gain.y;
//#endif
      let low_@T = of_four(own_low_@T);
      let high_@T = of_four(own_high_@T);
//#else
      var low_@T = x_at(x_@T, at);
      var high_@T = x_at(x_@T, at + 4u);
//#if NORM
      squares_@T += dot(low_@T, low_@T) + dot(high_@T, high_@T);
      low_@T *= gain[0];
      high_@T *= gain[1];
//#endif
//#endif
//#end
//#repeat R ROWS
      let q_@R = quads(w_@R, j);
//#repeat T TOKENS
//#if SCALED
      part_@R_@T += dot(q_@R[0], low_@T) + dot(q_@R[1], high_@T);
//#else
      sum_@R_@T += dot(q_@R[0], low_@T) + dot(q_@R[1], high_@T);
//#endif
//#end
//#end
    }
//#if SCALED
//#repeat R ROWS
//#repeat T TOKENS
    sum_@R_@T += w_@R.d * part_@R_@T;
//#end
//#end
//#endif
  }

//#if NORM
//#if SUBGROUPS
//#repeat T TOKENS
  squares_@T = subgroupAdd(select(0.0, squares_@T, subgroup_lane < 4u));
//#end
//#endif
//#endif
//#repeat T TOKENS
  if (token + @Tu < count) {
    let n = token + @Tu;
//#if NORM
    let norm = inverseSqrt(squares_@T / f32(P.width) + P.eps);
//#repeat R ROWS
    sum_@R_@T *= norm;
//#end
//#endif
//#if SWIGLU
//#repeat R ROWS_HALF
    if (row + 2u * @Ru < P.rows) {
      store_gated(n, row + 2u * @Ru, sum_@EVEN(R)_@T, sum_@ODD(R)_@T);
    }
//#end
//#else
//#repeat R ROWS
    if (row + @Ru < P.rows) {
      store(n, row + @Ru, sum_@R_@T);
    }
//#end
//#endif
  }
//#end
}
