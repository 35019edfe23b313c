// Chooses tokens from rows of logits exactly as core's `sample.ts` does: from the logits on everything is integers,
// 64-bit ones as pairs of words. A workgroup makes one draw after another; thresholds of top-k and top-p are found bit
// by bit over keys that order like the logits.

@group(0) @binding(2) var<storage, read> logits: array<u32>;
/// 2^30 2^(-j / 256), for j from 0 to 256.
@group(0) @binding(3) var<storage, read> table: array<u32>;
@group(0) @binding(4) var<storage, read> draws: array<Draw>;
/// A vocabulary for each workgroup.
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;
@group(0) @binding(6) var<storage, read_write> weights: array<u32>;
/// By draw the token; 0xffffffff where a logit is NaN.
@group(0) @binding(7) var<storage, read_write> chosen: array<u32>;

const lanes = 256u;
var<workgroup> pairs: array<vec2u, 256>;
var<workgroup> result: vec2u;
var<workgroup> damaged: atomic<u32>;
/// Where this workgroup's keys and weights begin.
var<private> base: u32;

/// A 64-bit integer is vec2u(low, high).
fn add(a: vec2u, b: vec2u) -> vec2u {
  let low = a.x + b.x;
  return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn subtract(a: vec2u, b: vec2u) -> vec2u {
  return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}
fn less(a: vec2u, b: vec2u) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}
fn multiply(a: u32, b: u32) -> vec2u {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  let other = a0 * b1 + (middle & 0xffffu);
  return vec2u(a * b, a1 * b1 + (middle >> 16u) + (other >> 16u));
}
/// All 128 bits, lowest word first.
fn multiply_wide(a: vec2u, b: vec2u) -> vec4u {
  let low = multiply(a.x, b.x);
  let high = multiply(a.y, b.y);
  let cross = multiply(a.x, b.y);
  let other = multiply(a.y, b.x);
  let first = add(vec2u(low.y, 0u), vec2u(cross.x, 0u));
  let second = add(first, vec2u(other.x, 0u));
  let third = add(add(high, vec2u(cross.y, 0u)), add(vec2u(other.y, 0u), vec2u(second.y, 0u)));
  return vec4u(low.x, second.x, third.x, third.y);
}
/// The 64 bits of a 128-bit number from bit `n` on.
fn bits_from(a: vec4u, n: u32) -> vec2u {
  var words = array<u32, 7>(a.x, a.y, a.z, a.w, 0u, 0u, 0u);
  let at = min(n >> 5u, 4u);
  let by = n & 31u;
  let low = words[at];
  let middle = words[at + 1u];
  let high = words[at + 2u];
  if (by == 0u) {
    return vec2u(low, middle);
  }
  return vec2u((low >> by) | (middle << (32u - by)), (middle >> by) | (high << (32u - by)));
}
fn any_below(a: vec4u, n: u32) -> bool {
  for (var i = 0u; i < 4u; i++) {
    let mask = select(select(0u, (1u << (n & 31u)) - 1u, n >> 5u == i), 0xffffffffu, n >> 5u > i);
    if ((a[i] & mask) != 0u) {
      return true;
    }
  }
  return false;
}
fn bit_of(a: vec4u, n: u32) -> bool {
  return ((a[n >> 5u] >> (n & 31u)) & 1u) == 1u;
}

/// The least integer that is at least p total, where the product is first rounded to 53 bits, as in float64.
fn enough(draw: Draw, total: vec2u) -> vec2u {
  var product = multiply_wide(total, vec2u(draw.top_p_low, draw.top_p_high));
  var length = 0u;
  for (var i = 0u; i < 4u; i++) {
    if (product[i] != 0u) {
      length = 32u * i + 32u - countLeadingZeros(product[i]);
    }
  }
  let dropped = select(0u, length - 53u, length > 53u);
  var rounded = bits_from(product, dropped);
  if (dropped > 0u && bit_of(product, dropped - 1u)) {
    if (any_below(product, dropped - 1u) || (rounded.x & 1u) == 1u) {
      rounded = add(rounded, vec2u(1u, 0u));
    }
  }
  // rounded * 2^dropped / 2^shift, rounded up
  if (draw.top_p_shift <= dropped) {
    return rounded;
  }
  let shift = draw.top_p_shift - dropped;
  if (shift > 60u) {
    return vec2u(1u, 0u);
  }
  let wide = vec4u(rounded, 0u, 0u);
  var up = bits_from(wide, shift);
  if (any_below(wide, shift)) {
    up = add(up, vec2u(1u, 0u));
  }
  return select(up, vec2u(1u, 0u), all(up == vec2u(0u)));
}

fn key_of(word: u32) -> u32 {
  let same = select(word, 0u, word == 0x80000000u); // -0 equals 0
  return select(same | 0x80000000u, ~same, (same & 0x80000000u) != 0u);
}

fn weight_of(draw: Draw, word: u32, most: u32) -> u32 {
  let difference = bitcast<f32>(most) - bitcast<f32>(word);
  let distance = bitcast<u32>(bitcast<f32>(bitcast<u32>(difference) ^ step.zero) * draw.scale) & 0x7fffffffu;
  if (distance >= 0x41f80000u) { // 31, or what is no number
    return select(0u, 0x40000000u, key_of(word) == key_of(most));
  }
  let steps = u32(bitcast<f32>(distance) * 65536.0);
  let octaves = steps >> 16u;
  let j = (steps >> 8u) & 255u;
  let here = table[j];
  return (here - (((here - table[j + 1u]) * (steps & 255u)) >> 8u)) >> octaves;
}

/// Sum over all invocations, 16 by 16 since barriers cost more than additions.
fn sum_of(lane: u32, value: vec2u) -> vec2u {
  pairs[lane] = value;
  workgroupBarrier();
  if (lane < 16u) {
    var sum = pairs[lane];
    for (var i = 1u; i < 16u; i++) {
      sum = add(sum, pairs[lane + 16u * i]);
    }
    pairs[lane] = sum;
  }
  workgroupBarrier();
  if (lane == 0u) {
    var sum = pairs[0];
    for (var i = 1u; i < 16u; i++) {
      sum = add(sum, pairs[i]);
    }
    pairs[0] = sum;
  }
  return workgroupUniformLoad(&pairs[0]);
}

/// Sum over the invocations before this one.
fn sum_before(lane: u32, value: vec2u) -> vec2u {
  pairs[lane] = value;
  workgroupBarrier();
  if (lane == 0u) {
    var sum = vec2u(0u);
    for (var i = 0u; i < lanes; i++) {
      let own = pairs[i];
      pairs[i] = sum;
      sum = add(sum, own);
    }
  }
  workgroupBarrier();
  return pairs[lane];
}

/// What tokens with at least this key count for: 1 each, or their weight.
fn sum_from(lane: u32, key: u32, weighted: bool) -> vec2u {
  var sum = vec2u(0u);
  for (var i = lane; i < P.vocabulary; i += lanes) {
    if (keys[base + i] >= key) {
      sum = add(sum, vec2u(select(1u, weights[base + i], weighted), 0u));
    }
  }
  return sum_of(lane, sum);
}

/// Keeps the first tokens, by key and then by id, that together count for `wanted`; drops the others.
fn keep(lane: u32, wanted: vec2u, weighted: bool) {
  var threshold = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    if (!less(sum_from(lane, threshold | bit, weighted), wanted)) {
      threshold |= bit;
    }
  }
  var above = vec2u(0u);
  if (threshold < 0xffffffffu) {
    above = sum_from(lane, threshold + 1u, weighted);
  }
  let room = subtract(wanted, above);
  let chunk = (P.vocabulary + lanes - 1u) / lanes;
  let first = lane * chunk;
  let end = min(first + chunk, P.vocabulary);
  var own = vec2u(0u);
  for (var i = first; i < end; i++) {
    if (keys[base + i] == threshold) {
      own = add(own, vec2u(select(1u, weights[base + i], weighted), 0u));
    }
  }
  var taken = sum_before(lane, own);
  for (var i = first; i < end; i++) {
    if (keys[base + i] < threshold) {
      weights[base + i] = 0u;
    } else if (keys[base + i] == threshold) {
      let counts = select(1u, weights[base + i], weighted);
      if (!less(taken, room)) {
        weights[base + i] = 0u;
      }
      taken = add(taken, vec2u(counts, 0u));
    }
  }
  storageBarrier();
}

/// The first two words of Philox4x32-10.
fn philox(draw: Draw) -> vec2u {
  var c = vec4u(draw.position, 0u, 0u, 0u);
  var k = vec2u(draw.seed_low, draw.seed_high);
  for (var round = 0u; round < 10u; round++) {
    let a = multiply(0xd2511f53u, c.x);
    let b = multiply(0xcd9e8d57u, c.z);
    c = vec4u(b.y ^ c.y ^ k.x, b.x, a.y ^ c.w ^ k.y, a.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c.xy;
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  base = group.x * P.vocabulary;
  for (var number = group.x; number < step.draws; number += groups.x) {
    let draw = draws[number];
    if (draw.source == P.source) {
      let row = P.logits_offset + draw.row * P.logits_stride;
      workgroupBarrier();
      if (lane == 0u) {
        atomicStore(&damaged, 0u);
      }
      workgroupBarrier();
      var best = vec2u(0u, 0xffffffffu); // key, id
      for (var i = lane; i < P.vocabulary; i += lanes) {
        let word = logits[row + i];
        if ((word & 0x7fffffffu) > 0x7f800000u) {
          atomicStore(&damaged, 1u);
        }
        let key = key_of(word);
        keys[base + i] = key;
        if (key > best.x || best.y == 0xffffffffu) {
          best = vec2u(key, i);
        }
      }
      pairs[lane] = best;
      workgroupBarrier();
      for (var half = lanes / 2u; half > 0u; half >>= 1u) {
        if (lane < half) {
          let mine = pairs[lane];
          let other = pairs[lane + half];
          if (other.x > mine.x || (other.x == mine.x && other.y < mine.y)) {
            pairs[lane] = other;
          }
        }
        workgroupBarrier();
      }
      best = workgroupUniformLoad(&pairs[0]);
      if (lane == 0u) {
        result = vec2u(best.y, atomicLoad(&damaged));
      }
      if (draw.scale > 0.0) {
        let most = logits[row + best.y];
        for (var i = lane; i < P.vocabulary; i += lanes) {
          weights[base + i] = weight_of(draw, logits[row + i], most);
        }
        storageBarrier();
        if (draw.top_k > 0u) {
          keep(lane, vec2u(draw.top_k, 0u), false);
        }
        if (draw.top_p_shift > 0u) {
          let total = sum_from(lane, 0u, true);
          keep(lane, enough(draw, total), true);
        }
        let chunk = (P.vocabulary + lanes - 1u) / lanes;
        let first = lane * chunk;
        let end = min(first + chunk, P.vocabulary);
        var own = vec2u(0u);
        for (var i = first; i < end; i++) {
          if (weights[base + i] < draw.least) {
            weights[base + i] = 0u;
          }
          own = add(own, vec2u(weights[base + i], 0u));
        }
        let total = sum_of(lane, own);
        let drawn = multiply_wide(total, philox(draw));
        let point = drawn.zw;
        var sum = sum_before(lane, own);
        for (var i = first; i < end; i++) {
          let next = add(sum, vec2u(weights[base + i], 0u));
          if (!less(point, sum) && less(point, next)) {
            result.x = i;
          }
          sum = next;
        }
      }
      workgroupBarrier();
      if (lane == 0u) {
        chosen[number] = select(result.x, 0xffffffffu, result.y != 0u);
      }
    }
  }
}
