// y = x W^T in register tiles: an invocation computes ROWS outputs for TOKENS rows of x. Neighbouring invocations have
// neighbouring outputs and the same rows of x, so that x is read once for all of them where loads of one address are cheap:
// on software adapters, which also find shared memory slow. Quants are multiplied as they are, and the sum of what shares a
// scale is scaled; formats with offsets have whole weights instead (their scale is 1).
//
// NORM: x is normalized on the way, y = (x g) W^T / sqrt(mean(x^2) + eps). RESIDUAL: another matrix is added. SWIGLU: rows of W
// are pairs of gate and up, and y = silu(gate) up.

struct Parameters {
  /// Groups of 32 inputs in a row of W.
  units: u32,
  /// Rows of W in this part of it, and how many lie before.
  rows: u32,
  before: u32,
  /// Width of x.
  width: u32,
  /// x, in vectors of four.
  x_offset: u32,
  x_stride: u32,
  y_offset: u32,
  y_stride: u32,
  residual_offset: u32,
  residual_stride: u32,
  /// Where the plane of high bits begins among the scales.
  high: u32,
  /// Rows of each of two matrices whose rows alternate in W, or 0.
  alternating: u32,
  /// 1 where only the selected rows are computed.
  selected: u32,
  eps: f32,
}

@group(0) @binding(0) var<uniform> P: Parameters;
//#include "step"
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> wq: array<vec4u>;
@group(0) @binding(4) var<storage, read> ws: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
//#if NORM
@group(0) @binding(6) var<storage, read> g: array<vec4f>;
//#endif
//#if RESIDUAL
@group(0) @binding(6) var<storage, read> residual: array<f32>;
//#endif

//#include "math"
//#include "planes"
//#include FORMAT

fn x_at(base: u32, quad_index: u32) -> vec4f {
//#if TAIL
  let k = quad_index * 4u;
  return select(vec4f(0.0), x[base + quad_index], vec4u(k, k + 1u, k + 2u, k + 3u) < vec4u(P.width));
//#else
  return x[base + quad_index];
//#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let count = select(step.rows, step.selected, P.selected == 1u);
  let token = id.y * TOKENS;
  let row = id.x * ROWS;
  let last = P.rows - 1u;
//#repeat R ROWS
  let row_@R = min(row + @Ru, last);
//#end
//#repeat T TOKENS
  let x_@T = P.x_offset + min(token + @Tu, count - 1u) * P.x_stride;
//#if NORM
  var squares_@T = vec4f(0.0);
//#endif
//#repeat R ROWS
  var sum_@R_@T = 0.0;
//#end
//#end
  for (var u = 0u; u < P.units; u++) {
//#repeat R ROWS
    let w_@R = fetch(row_@R, u);
//#repeat T TOKENS
    var part_@R_@T = 0.0;
//#end
//#end
//#repeat S 8
    {
      let at = u * 8u + @Su;
//#if NORM
      let gain = g[at];
//#endif
//#repeat R ROWS
      let q_@R = quad(w_@R, @Su);
//#end
//#repeat T TOKENS
      var v_@T = x_at(x_@T, at);
//#if NORM
      squares_@T += v_@T * v_@T;
      v_@T *= gain;
//#endif
//#repeat R ROWS
      part_@R_@T += dot(q_@R, v_@T);
//#end
//#end
    }
//#if SCALE_@S
//#repeat R ROWS
    {
      let d = scale(w_@R, @Su);
//#repeat T TOKENS
      sum_@R_@T = fma(d, part_@R_@T, sum_@R_@T);
      part_@R_@T = 0.0;
//#end
    }
//#end
//#endif
//#end
  }

//#repeat T TOKENS
  if (token + @Tu < count) {
    let n = token + @Tu;
//#if NORM
    let squares = dot(squares_@T, vec4f(1.0));
    let norm = inverseSqrt(squares / f32(P.width) + P.eps);
//#repeat R ROWS
    sum_@R_@T *= norm;
//#end
//#endif
//#if SWIGLU
//#repeat R ROWS_HALF
    if (row + 2u * @Ru < P.rows) {
      y[P.y_offset + n * P.y_stride + (P.before + row) / 2u + @Ru] = silu(sum_@EVEN(R)_@T) * sum_@ODD(R)_@T;
    }
//#end
//#else
//#repeat R ROWS
    if (row + @Ru < P.rows) {
      let r = P.before + row + @Ru;
      let column = select(r, (r & 1u) * P.alternating + (r >> 1u), P.alternating > 0u);
//#if RESIDUAL
      sum_@R_@T += residual[P.residual_offset + n * P.residual_stride + column];
//#endif
      y[P.y_offset + n * P.y_stride + column] = sum_@R_@T;
    }
//#end
//#endif
  }
//#end
}
