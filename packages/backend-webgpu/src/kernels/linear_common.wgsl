// What the kernels of a linear share: their parameters and buffers, and the reading of x and W.
//
// NORM: x is normalized on the way, y = (x g) W^T / sqrt(mean(x^2) + eps). RESIDUAL: another matrix is added. SWIGLU:
// rows of W are pairs of gate and up, and y = silu(gate) up.

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

/// One of the elements of `x_at`.
fn x_element(base: u32, quad_index: u32, i: u32) -> f32 {
//#if TAIL
  return select(0.0, x[base + quad_index][i], quad_index * 4u + i < P.width);
//#else
  return x[base + quad_index][i];
//#endif
}

/// Column of y that a row of this part of W computes.
fn column_of(row: u32) -> u32 {
  let r = P.before + row;
  return select(r, (r & 1u) * P.alternating + (r >> 1u), P.alternating > 0u);
}

fn store(n: u32, row: u32, sum: f32) {
  let column = column_of(row);
//#if RESIDUAL
  y[P.y_offset + n * P.y_stride + column] = sum + residual[P.residual_offset + n * P.residual_stride + column];
//#else
  y[P.y_offset + n * P.y_stride + column] = sum;
//#endif
}

/// `row` is the gate's.
fn store_gated(n: u32, row: u32, gate: f32, up: f32) {
  y[P.y_offset + n * P.y_stride + (P.before + row) / 2u] = silu(gate) * up;
}
