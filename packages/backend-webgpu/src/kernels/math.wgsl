// Exponentials by range reduction and a polynomial, so that their error is known (below 3 units) and the same on every
// adapter: WGSL grants its own exp 3 + 2 |x| ULP, and adapters make use of it.

/// 2^n for an integer n from -126 to 127; 0 below.
fn power_of_two(n: f32) -> f32 {
  return select(0.0, bitcast<f32>(u32(clamp(n, -126.0, 127.0) + 127.0) << 23u), n >= -126.0);
}

/// 2^x for x up to 127.
fn exp2_exact(x: f32) -> f32 {
  let n = floor(x + 0.5);
  let f = x - n;
  var p = 0.00015345810970757157;
  p = fma(p, f, 0.0013399930903688073);
  p = fma(p, f, 0.009618489071726799);
  p = fma(p, f, 0.05550328642129898);
  p = fma(p, f, 0.24022646248340607);
  p = fma(p, f, 0.6931471824645996);
  p = fma(p, f, 1.0);
  return p * power_of_two(n);
}

/// ln 2 in two parts, of which the first has so few bits that its products with small integers are exact.
const ln2_high = 0.693145752;
const ln2_low = 1.42860677e-6;

/// e^x for x from -87 to 0, and 0 far below. ln 2 is taken in two parts, of which the first has few enough bits to be
/// multiplied exactly. Compilers may put the two together again, so a word that is always zero, which they cannot know,
/// stands between them.
fn exp_negative(x: f32) -> f32 {
  let n = floor(x * 1.4426950408889634 + 0.5);
  let reduced = x - n * ln2_high;
  let r = bitcast<f32>(bitcast<u32>(reduced) ^ step.zero) - n * ln2_low;
  var p = 0.001383684342727065;
  p = fma(p, r, 0.008374817669391632);
  p = fma(p, r, 0.04166822507977486);
  p = fma(p, r, 0.16666419804096222);
  p = fma(p, r, 0.49999991059303284);
  p = fma(p, r, 1.0);
  p = fma(p, r, 1.0);
  return select(0.0, p * power_of_two(n), x > -88.0);
}

/// The natural logarithm of a finite number above 0 that is not subnormal: ln(1 + f) for f around 0 is a series in
/// f / (2 + f), behind its first two terms.
fn natural_log(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let above = (bits & 0x7fffffu) > 0x3504f3u; // sqrt(2)
  let n = f32(i32(bits >> 23u) - 127 + select(0, 1, above));
  let f = bitcast<f32>((bits & 0x7fffffu) | select(0x3f800000u, 0x3f000000u, above)) - 1.0;
  let s = f / (2.0 + f);
  let z = s * s;
  let series = z * fma(z, fma(z, fma(z, 0.24279078841, 0.28498786688), 0.40000972152), 0.66666662693);
  let square = 0.5 * f * f;
  return n * ln2_high + (f - (square - fma(s, square + series, n * ln2_low)));
}

/// 1 / (1 + e^-z), from an exponential that never overflows.
fn sigmoid(z: f32) -> f32 {
  let t = exp_negative(-abs(z));
  return select(1.0, t, z < 0.0) / (1.0 + t);
}

/// z / (1 + e^-z), from an exponential that never overflows.
fn silu(z: f32) -> f32 {
  let t = exp_negative(-abs(z));
  return z * select(1.0, t, z < 0.0) / (1.0 + t);
}

/// The value of a binary16 number. By integers, since adapters may flush its subnormals.
fn half_value(h: u32) -> f32 {
  let magnitude = h & 0x7fffu;
  let normal = bitcast<f32>((magnitude << 13u) + 0x38000000u);
  let value = select(f32(magnitude) * 0x1p-24, normal, magnitude >= 0x400u);
  return select(value, -value, (h & 0x8000u) != 0u);
}

fn half_pair(w: u32) -> vec2f {
  return vec2f(half_value(w & 0xffffu), half_value(w >> 16u));
}
