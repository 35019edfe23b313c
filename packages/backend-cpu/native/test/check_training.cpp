// Compares the steps of training with double precision, on one thread and on three, at sizes that fill no register, group
// or block: gradients of weights, norms, SwiGLU, embeddings, softmax and attention, transposes, sums of squares, AdamW.
// Nothing beside their results is written.
//
//   clang++-14 -std=c++17 -O1 test/check_training.cpp OBJECTS -o training -lpthread && ./training [SET]
#include <algorithm>

#include "rows.h"

namespace {

/** Units of e^x and of a logarithm (a unit in the last place is up to two), and of 1 / (1 + e^-x). */
constexpr double exp_units = 4, log_units = 4, sigmoid_units = exp_units + 2;

/** Weights that are less than this come to as much. */
const double least_weight = std::exp(-87.0);

/** A matrix in groups of 16 interleaved rows, other numbers behind it. */
struct Grouped {
  u32 rows, columns;
  Rows memory;
  Grouped(Steps& device, u32 count, u32 wide)
      : rows(count), columns(wide), memory(device, 1, (count + 15) / 16 * 16 * wide, (count + 15) / 16 * 16 * wide) {}
  float& at(u32 m, u32 k) const { return memory.row(0)[((u64)(m / 16) * columns + k) * 16 + m % 16]; }
  u64 ref() const { return memory.ref(); }
  /** Rows that fill up the last group are zeros. */
  Grouped& random() {
    for (u32 m = 0; m < (rows + 15) / 16 * 16; m++) for (u32 k = 0; k < columns; k++) at(m, k) = m < rows ? number() : 0;
    return *this;
  }
  void compare(const std::string& what, const std::function<double(u32, u32)>& want, const std::function<double(u32, u32)>& bound) const {
    const auto place_of = [&](u32 i) { return std::pair<u32, u32>(i / 16 / columns * 16 + i % 16, i / 16 % columns); };
    memory.compare(what, [&](u32, u32 i) { const auto [m, k] = place_of(i); return m < rows ? want(m, k) : 0; },
                   [&](u32, u32 i) { const auto [m, k] = place_of(i); return m < rows ? bound(m, k) : 0; });
  }
};

/** A copy of a matrix that a step may write over. */
Grouped copy_of(Steps& device, const Grouped& from) {
  Grouped to(device, from.rows, from.columns);
  memcpy(to.memory.row(0), from.memory.row(0), 4ull * from.memory.width);
  return to;
}

/** Integers of rows. */
Memory integers(Steps& device, const std::vector<i32>& values) {
  const Memory memory = device.allocate(4 * values.size());
  memcpy(memory.data, values.data(), 4 * values.size());
  return memory;
}

struct Sum {
  double value = 0, size = 0;
  void add(double term) { value += term, size += std::fabs(term); }
};

void check_weight_grad(Steps& device) {
  struct Size {
    u32 rows, m, k;
  };
  for (const Size& size : {Size{1, 1, 1}, {5, 33, 3}, {130, 17, 7}, {129, 300, 40}, {300, 65, 19}}) {
    for (u32 way = 0; way < 3; way++) {  // alone, added to others, and in their place
      const u32 rows = size.rows, m = size.m, k = size.k;
      Rows x = Rows(device, rows, k, k + 3).random(), dy = Rows(device, rows, m, m + 1).random();
      const Grouped before = Grouped(device, m, k).random();
      const Grouped y = way == 2 ? copy_of(device, before) : Grouped(device, m, k);
      const u64 residual = way == 0 ? 0 : way == 1 ? before.ref() : y.ref();
      device.add(WeightGradStep{step_weightGrad, rows, x.ref(), dy.ref(), residual, y.ref(), x.stride, dy.stride, m, k});
      device.run_once();
      const auto sum = [&](u32 row, u32 column) {
        Sum all;
        for (u32 n = 0; n < rows; n++) all.add((double)dy.row(n)[row] * x.row(n)[column]);
        if (way > 0) all.add(before.at(row, column));
        return all;
      };
      y.compare("weightGrad", [&](u32 r, u32 c) { return sum(r, c).value; }, [&](u32 r, u32 c) { return sum(r, c).size * (rows + 1) * unit; });
    }
  }
}

void check_transpose(Steps& device) {
  for (u32 columns : {1u, 7u, 16u, 133u}) {
    const u32 first = 16, rows = 21;
    const Grouped all = Grouped(device, first + rows + 11, columns).random();
    const Grouped y(device, columns, rows);
    device.add(TransposeStep{step_transpose, 1, all.ref(), y.ref(), format_f32, first, rows, columns});
    device.run_once();
    y.compare("transpose", [&](u32 k, u32 m) { return all.at(first + m, k); }, exact);
  }
}

void check_norm_grad(Steps& device) {
  for (u32 width : {1u, 3u, 16u, 17u, 40u, 100u}) {
    for (u32 way = 0; way < 2; way++) {
      const u32 rows = 5;
      Rows x = Rows(device, rows, width, width + 3).random(), dy = Rows(device, rows, width, width + 1).random();
      Rows weight = Rows(device, 1, width, width).random(), more = Rows(device, rows, width, width + 5).random();
      Rows before = Rows(device, 1, width, width).random();
      Rows y(device, rows, width, width + 2), inverses(device, 1, rows, rows), own(device, 1, width, width);
      for (u32 i = 0; i < width; i++) x.row(3)[i] *= 1e-3f;  // where eps counts
      device.add(NormGradStep{step_normGrad, rows, x.ref(), dy.ref(), weight.ref(), way ? more.ref() : 0, y.ref(), inverses.ref(),
                              x.stride, dy.stride, more.stride, y.stride, width, 1e-5f});
      device.add(NormWeightGradStep{step_normWeightGrad, rows, x.ref(), dy.ref(), inverses.ref(), way ? before.ref() : 0, own.ref(),
                                    x.stride, dy.stride, width, 0});
      device.run_once();
      const double units = norm_units(width);
      const auto along = [&](u32 n) {
        Sum sum;
        for (u32 i = 0; i < width; i++) sum.add((double)dy.row(n)[i] * weight.row(0)[i] * x.row(n)[i]);
        return sum;
      };
      const auto inverse = [&](u32 n) { return inverse_norm(x.row(n), width, 1e-5f); };
      const auto residual = [&](u32 n, u32 i) { return way ? more.row(n)[i] : 0; };
      const auto grad = [&](u32 n, u32 i) {
        const double share = inverse(n) * inverse(n) * along(n).value / width;
        return inverse(n) * ((double)dy.row(n)[i] * weight.row(0)[i] - x.row(n)[i] * share) + residual(n, i);
      };
      y.compare("normGrad", grad, [&](u32 n, u32 i) {
        const double own = std::fabs((double)dy.row(n)[i] * weight.row(0)[i]), share = inverse(n) * inverse(n) * along(n).size / width;
        const double product = std::fabs(x.row(n)[i]) * share;
        return unit * (inverse(n) * (own * 3 + product * (width + 2 * units + 8) + (own + product) * (units + 2)) +
                       std::fabs(grad(n, i)) + std::fabs(residual(n, i)));
      });
      const auto by_weight = [&](u32 i) {
        Sum sum;
        for (u32 n = 0; n < rows; n++) sum.add(dy.row(n)[i] * x.row(n)[i] * inverse(n));
        if (way) sum.add(before.row(0)[i]);
        return sum;
      };
      own.compare("normWeightGrad", [&](u32, u32 i) { return by_weight(i).value; },
                  [&](u32, u32 i) { return by_weight(i).size * (rows + units + 3) * unit; });
    }
  }
}

void check_swiglu_grad(Steps& device) {
  for (u32 width : {1u, 5u, 16u, 37u}) {
    const u32 rows = 4;
    Rows gate = Rows(device, rows, width, width + 1).random(), up = Rows(device, rows, width, width + 2).random();
    Rows dy = Rows(device, rows, width, width + 3).random();
    Rows by_gate(device, rows, width, width + 4), by_up(device, rows, width, width + 5);
    for (u32 i = 0; i < width; i += 2) gate.row(1)[i] *= 8;
    device.add(SwigluGradStep{step_swigluGrad, rows, gate.ref(), up.ref(), dy.ref(), by_gate.ref(), by_up.ref(), gate.stride,
                              up.stride, dy.stride, by_gate.stride, by_up.stride, width});
    device.run_once();
    const auto sigmoid = [&](u32 n, u32 i) { return 1 / (1 + std::exp(-(double)gate.row(n)[i])); };
    const auto up_grad = [&](u32 n, u32 i) { return dy.row(n)[i] * gate.row(n)[i] * sigmoid(n, i); };
    by_up.compare("swigluGrad by up", up_grad, [&](u32 n, u32 i) { return std::fabs(up_grad(n, i)) * (sigmoid_units + 2) * unit; });
    const auto factor = [&](u32 n, u32 i) { return (double)dy.row(n)[i] * up.row(n)[i]; };
    const auto slope = [&](u32 n, u32 i) { return sigmoid(n, i) * (1 + gate.row(n)[i] * (1 - sigmoid(n, i))); };
    by_gate.compare("swigluGrad by gate", [&](u32 n, u32 i) { return factor(n, i) * slope(n, i); }, [&](u32 n, u32 i) {
      const double g = std::fabs((double)gate.row(n)[i]), part = sigmoid(n, i);
      return unit * std::fabs(factor(n, i)) *
             (part * (g * (sigmoid_units * part + 1 - part) + 1 + g * (1 - part)) + std::fabs(slope(n, i)) * (sigmoid_units + 4));
    });
  }
}

void check_embedding_grad(Steps& device) {
  for (u32 columns : {1u, 16u, 37u}) {
    for (u32 way = 0; way < 3; way++) {
      const u32 rows = 9, tokens = 21;
      Rows dy = Rows(device, rows, columns, columns + 3).random();
      const Grouped before = Grouped(device, tokens, columns).random();
      const Grouped y = way == 2 ? copy_of(device, before) : Grouped(device, tokens, columns);
      const u64 residual = way == 0 ? 0 : way == 1 ? before.ref() : y.ref();
      for (u32 n = 0; n < rows; n++) device.rows()[n] = {n % 3 == 0 ? tokens - 1 : below(tokens), 0, n, 0};
      device.add(EmbeddingGradStep{step_embeddingGrad, rows, dy.ref(), residual, y.ref(), dy.stride, tokens, columns, 0});
      device.run_once();
      const auto sum = [&](u32 token, u32 i) {
        Sum all;
        for (u32 n = 0; n < rows; n++) if (device.rows()[n].token == token) all.add(dy.row(n)[i]);
        if (way > 0) all.add(before.at(token, i));
        return all;
      };
      y.compare("embeddingGrad", [&](u32 v, u32 i) { return sum(v, i).value; }, [&](u32 v, u32 i) { return sum(v, i).size * rows * unit; });
    }
  }
}

void check_log_probability(Steps& device) {
  const u32 rows = 6, vocabulary = 117, widths[] = {48, 48, 21};
  for (float scale : {1.0f, 0.7f}) {
    Rows x = Rows(device, rows, vocabulary, vocabulary).random();
    for (u32 i = 0; i < vocabulary; i++) x.row(1)[i] *= 20, x.row(2)[i] -= 50, x.row(4)[i] = i == 3 ? 90 : x.row(4)[i];
    const std::vector<i32> targets = {0, 116, 47, 48, -1, 96};
    const Memory wanted = integers(device, targets);
    Rows state(device, 1, 4 * rows, 4 * rows), y(device, 1, rows, rows), sums(device, 1, rows, rows), dy = Rows(device, 1, rows, rows).random();
    std::vector<Rows> pieces;
    for (u32 piece = 0, first = 0; piece < 3; first += widths[piece++]) {
      const u32 width = widths[piece];
      pieces.push_back(Rows(device, rows, width, 53));
      for (u32 n = 0; n < rows; n++) for (u32 i = 0; i < width; i++) pieces[piece].row(n)[i] = x.row(n)[first + i];
      device.add(LogSumExpStep{step_logSumExp, rows, pieces[piece].ref(), wanted.ref, state.ref(), y.ref(), sums.ref(), 53, width, first,
                               piece == 0, piece == 2, scale});
    }
    device.run_once();
    const auto score = [&](u32 n, u32 i) { return (double)x.row(n)[i] * scale; };
    const auto largest = [&](u32 n) { return (double)*std::max_element(x.row(n), x.row(n) + vocabulary) * scale; };
    const auto total = [&](u32 n) {
      double sum = 0;
      for (u32 i = 0; i < vocabulary; i++) sum += std::exp(score(n, i) - largest(n));
      return largest(n) + std::log(sum);
    };
    /** Scores that weigh something are within 104 of the largest one; those far below it come to nothing. */
    const auto sum_units = [&](u32 n) {
      double worst = 0;
      for (u32 i = 0; i < vocabulary; i++) {
        const double distance = largest(n) - score(n, i);
        worst = std::max(worst, std::exp(-distance) * vocabulary * (std::fabs(score(n, i)) + std::fabs(largest(n)) + distance));
      }
      return worst + 3 * (exp_units + 1) + vocabulary + log_units * std::log(vocabulary) + std::fabs(largest(n)) + std::fabs(total(n));
    };
    sums.compare("logSumExp", [&](u32, u32 n) { return total(n); }, [&](u32, u32 n) { return sum_units(n) * unit; });
    y.compare("logProbability", [&](u32, u32 n) { return targets[n] < 0 ? 0 : score(n, targets[n]) - total(n); }, [&](u32, u32 n) {
      if (targets[n] < 0) return 0.0;
      return (sum_units(n) + std::fabs(score(n, targets[n])) + std::fabs(score(n, targets[n]) - total(n))) * unit;
    });
    for (u32 piece = 0, first = 0; piece < 3; first += widths[piece++]) {
      device.add(SoftmaxGradStep{step_softmaxGrad, rows, pieces[piece].ref(), wanted.ref, sums.ref(), dy.ref(), 53, widths[piece], first, scale});
    }
    device.run_once();
    for (u32 piece = 0, first = 0; piece < 3; first += widths[piece++]) {
      const auto weight = [&](u32 n, u32 i) { return std::exp(score(n, first + i) - (double)sums.row(0)[n]); };
      const auto own = [&](u32 n, u32 i) { return targets[n] == (i32)(first + i) ? 1.0 : 0.0; };
      const auto factor = [&](u32 n) { return (double)dy.row(0)[n] * scale; };
      pieces[piece].compare("softmaxGrad", [&](u32 n, u32 i) { return targets[n] < 0 ? 0 : factor(n) * (own(n, i) - weight(n, i)); },
                            [&](u32 n, u32 i) {
                              if (targets[n] < 0) return 0.0;
                              const double s = score(n, first + i), p = weight(n, i);
                              const double units = 2 * std::fabs(s) + std::fabs(s - sums.row(0)[n]) + exp_units + 2;
                              return std::fabs(factor(n)) * (p * units + std::fabs(own(n, i) - p) * 3 + least_weight / unit) * unit + 0x1p-126;
                            });
    }
  }
}

struct Heads {
  u32 heads, kv, dim;
};

void check_attention(Steps& device) {
  const std::vector<std::vector<u32>> steps = {{1}, {130, 1, 7}, {270}};
  for (const Heads& shape : {Heads{2, 2, 2}, {3, 1, 20}, {4, 2, 16}}) {
    for (const auto& counts : steps) {
      const u32 heads = shape.heads, kv = shape.kv, dim = shape.dim;
      u32 rows = 0;
      std::vector<u32> begins;
      const Memory sequences = device.allocate(sizeof(Sequence) * counts.size());
      for (u32 i = 0; i < counts.size(); i++) {
        ((Sequence*)sequences.data)[i] = {0, 0, 0, rows, counts[i], 0, 0};
        begins.insert(begins.end(), counts[i], rows);
        rows += counts[i];
      }
      device.told.sequences = sequences.ref, device.told.sequenceCount = counts.size(), device.told.rowCount = rows;
      const u32 wide = heads * dim, narrow = kv * dim, group = heads / kv;
      Rows q = Rows(device, rows, wide, wide + 3).random(), dy = Rows(device, rows, wide, wide + 3).random();
      Rows k = Rows(device, rows, narrow, narrow + 5).random(), v = Rows(device, rows, narrow, narrow + 5).random();
      Rows y(device, rows, wide, wide + 3), total(device, rows, heads, heads + 2);
      Rows dq(device, rows, wide, wide + 3), dk(device, rows, narrow, narrow + 5), dv(device, rows, narrow, narrow + 5);
      device.add(SequenceAttentionStep{step_sequenceAttention, rows, q.ref(), k.ref(), v.ref(), y.ref(), total.ref(), q.stride, k.stride,
                                       y.stride, total.stride, heads, kv, dim, 0});
      device.run_once();
      device.add(AttentionGradStep{step_attentionGrad, rows, q.ref(), k.ref(), v.ref(), y.ref(), total.ref(), dy.ref(), dq.ref(), dk.ref(),
                                   dv.ref(), q.stride, k.stride, total.stride, heads, kv, dim});
      device.run_once();

      const double scale = 1 / std::sqrt((double)dim);
      const auto dot = [&](const float* a, const float* b) {
        Sum sum;
        for (u32 i = 0; i < dim; i++) sum.add((double)a[i] * b[i]);
        return sum;
      };
      std::vector<Sum> out(rows * wide), by_q(rows * wide), by_k(rows * narrow), by_v(rows * narrow);
      std::vector<double> out_bound(rows * wide), q_bound(rows * wide), k_bound(rows * narrow), v_bound(rows * narrow), sums(rows * heads),
          sums_bound(rows * heads);
      for (u32 n = 0; n < rows; n++) {
        for (u32 h = 0; h < heads; h++) {
          const float *own = q.row(n) + h * dim, *cotangent = dy.row(n) + h * dim;
          const u32 kv_place = h / group * dim, place = h * dim;
          double largest = -INFINITY, all = 0, score_bound = 0;
          std::vector<double> scores;
          for (u32 t = begins[n]; t <= n; t++) {
            const Sum sum = dot(own, k.row(t) + kv_place);
            scores.push_back(sum.value * scale);
            score_bound = std::max(score_bound, sum.size * scale * (dim + 3));
            largest = std::max(largest, scores.back());
          }
          for (const double score : scores) all += std::exp(score - largest);
          const double span = 2 * (std::fabs(largest) + *std::max_element(scores.begin(), scores.end()) -
                                   *std::min_element(scores.begin(), scores.end()));
          const double keys = scores.size(), weight_units = score_bound + span + exp_units + 2;
          sums[n * heads + h] = largest + std::log(all);
          sums_bound[n * heads + h] = unit * (weight_units + keys + 8 + log_units * std::log(all + 1) + std::fabs(largest) * 2 + std::fabs(sums[n * heads + h]));
          const double given = total.row(n)[h];  // which the gradient is computed with
          const Sum mean = dot(y.row(n) + place, cotangent);
          for (u32 t = begins[n]; t <= n; t++) {
            const float *key = k.row(t) + kv_place, *value = v.row(t) + kv_place;
            const double weight = std::exp(scores[t - begins[n]] - largest) / all;
            for (u32 i = 0; i < dim; i++) {
              out[n * wide + place + i].add(weight * value[i]);
              out_bound[n * wide + place + i] += unit * weight * std::fabs(value[i]) * (2 * weight_units + 2 * keys + 8);
            }
            const double p = std::exp(scores[t - begins[n]] - given);
            const double p_bound = unit * p * (score_bound + 2 * std::fabs(given) + span + exp_units + 2);
            const Sum product = dot(cotangent, value);
            const double difference = product.value - mean.value, score_grad = p * difference;
            const double grad_bound = p_bound * std::fabs(difference) + unit * p * ((product.size + mean.size) * (dim + 2) + 3 * std::fabs(difference));
            for (u32 i = 0; i < dim; i++) {
              by_v[t * narrow + kv_place + i].add(p * cotangent[i]);
              v_bound[t * narrow + kv_place + i] += p_bound * std::fabs(cotangent[i]);
              by_q[n * wide + place + i].add(score_grad * key[i] * scale);
              q_bound[n * wide + place + i] += grad_bound * std::fabs(key[i]) * scale;
              by_k[t * narrow + kv_place + i].add(score_grad * own[i] * scale);
              k_bound[t * narrow + kv_place + i] += grad_bound * std::fabs(own[i]) * scale;
            }
          }
        }
      }
      const auto compare = [&](const char* what, const Rows& found, const std::vector<Sum>& want, const std::vector<double>& bound, double terms) {
        const u32 width = found.width;
        found.compare(what, [&, width](u32 n, u32 i) { return want[n * width + i].value; },
                      [&, width](u32 n, u32 i) { return bound[n * width + i] + want[n * width + i].size * terms * unit; });
      };
      y.compare("sequenceAttention", [&](u32 n, u32 i) { return out[n * wide + i].value; }, [&](u32 n, u32 i) { return out_bound[n * wide + i]; });
      total.compare("its logSumExp", [&](u32 n, u32 h) { return sums[n * heads + h]; }, [&](u32 n, u32 h) { return sums_bound[n * heads + h]; });
      compare("attentionGrad by q", dq, by_q, q_bound, rows + 3);
      compare("attentionGrad by k", dk, by_k, k_bound, rows * group + 3);
      compare("attentionGrad by v", dv, by_v, v_bound, rows * group + 3);
    }
  }
}

void check_squares(Steps& device) {
  for (u32 rows : {1u, 3u}) {
    for (u32 width : {1u, 5u, 4097u, 2 * 65536u + 3}) {
      Rows x = Rows(device, rows, width, width + 7).random(), y(device, 1, 1, 1);
      const u32 pieces = rows * ((width + 65535) / 65536);
      const Memory sums = device.allocate(8 * pieces);
      device.add(SquaresStep{step_squares, rows, x.ref(), sums.ref, width, x.stride});
      device.add(SumOfSquaresStep{step_sumOfSquares, 1, sums.ref, y.ref(), pieces});
      device.run_once();
      Sum all;
      for (u32 n = 0; n < rows; n++) for (u32 i = 0; i < width; i++) all.add((double)x.row(n)[i] * x.row(n)[i]);
      y.compare("sumOfSquares", [&](u32, u32) { return all.value; }, [&](u32, u32) { return all.size * (4096 / 4 + 1) * unit; });
    }
  }
}

void check_adamw(Steps& device) {
  for (u32 words : {1u, 7u, 65536u + 5}) {
    for (float squares : {0.25f, 9.0f}) {
      for (u32 looked : {0u, 1u, 66000u, 70000u}) {  // numbers up to the first one that is not finite, if any
        Rows g = Rows(device, 1, words, words).random(), w = Rows(device, 1, words, words).random(), m = Rows(device, 1, words, words).random();
        Rows v = Rows(device, 1, words, words).random(), known = Rows(device, 1, 1, 1), settings(device, 1, 3, 3);
        Rows new_w(device, 1, words, words), new_m(device, 1, words, words), new_v(device, 1, words, words);
        for (u32 i = 0; i < words; i++) v.row(0)[i] = std::fabs(v.row(0)[i]) * (i % 3 == 0 ? 1e-9f : 1);
        const float rate = 1e-2f, bias1 = 1 - 0.81f, bias2 = 1 - 0.9025f;
        known.row(0)[0] = squares;
        settings.row(0)[0] = rate, settings.row(0)[1] = bias1, settings.row(0)[2] = bias2;
        const float beta1 = 0.9f, beta2 = 0.95f, eps = 1e-5f, decay = 0.1f, most = 1, rest1 = 0.1f, rest2 = 0.05f;
        Rows other = Rows(device, 1, 70000, 70000).random();
        if (looked) other.row(0)[looked - 1] = looked == 1 ? NAN : INFINITY;
        device.clear_flags();
        device.add(FiniteStep{step_finite, 1, other.ref(), 70000, 70000});
        device.add(AdamwStep{step_adamw, 1, g.ref(), known.ref(), settings.ref(), w.ref(), m.ref(), v.ref(), new_w.ref(), new_m.ref(), new_v.ref(),
                             words, beta1, beta2, eps, decay, most, rest1, rest2, 0});
        device.run_once();
        expect(device.not_finite() == (looked > 0), "finite: what is not finite is noticed, and nothing else");
        device.clear_flags();
        if (looked) {
          for (const Rows* each : {&new_w, &new_m, &new_v}) each->compare("adamw without finite gradients", [&](u32, u32) { return untouched; }, exact);
          continue;
        }
        const double clip = std::min(1.0, most / std::sqrt((double)squares));
        const auto first = [&](u32 i) { return (double)beta1 * m.row(0)[i] + (double)rest1 * g.row(0)[i] * clip; };
        const auto first_bound = [&](u32 i) { return unit * (2 * std::fabs((double)beta1 * m.row(0)[i]) + 6 * std::fabs((double)rest1 * g.row(0)[i] * clip) ); };
        const auto second = [&](u32 i) { return (double)beta2 * v.row(0)[i] + (double)rest2 * std::pow(g.row(0)[i] * clip, 2); };
        const auto root = [&](u32 i) { return std::sqrt(second(i)) / std::sqrt((double)bias2) + eps; };
        new_m.compare("adamw, first moment", [&](u32, u32 i) { return first(i); }, [&](u32, u32 i) { return first_bound(i); });
        new_v.compare("adamw, second moment", [&](u32, u32 i) { return second(i); }, [&](u32, u32 i) { return 10 * unit * second(i); });
        const auto change = [&](u32 i) { return rate / bias1 * first(i) / root(i); };
        const auto kept = [&](u32 i) { return w.row(0)[i] * (1 - (double)rate * decay); };
        new_w.compare("adamw, weight", [&](u32, u32 i) { return kept(i) - change(i); }, [&](u32, u32 i) {
          return rate / bias1 * first_bound(i) / root(i) + unit * (14 * std::fabs(change(i)) + 4 * std::fabs(kept(i)));
        });
      }
    }
  }
}

void check_rope_backwards(Steps& device) {
  const u32 rows = 3, dim = 10, width = 3 * dim;
  Rows x = Rows(device, rows, width, width + 1).random(), y(device, rows, width, width + 4);
  Rows angles(device, rows, dim, dim);
  for (u32 n = 0; n < rows; n++) for (u32 i = 0; i < dim; i += 2) {
    const float angle = 2 * number();
    angles.row(n)[i] = std::cos(angle), angles.row(n)[i + 1] = std::sin(angle);
  }
  device.told.rotations = angles.ref(), device.told.rotationStride = dim / 2;
  device.add(RopeStep{step_rope, rows, x.ref(), y.ref(), x.stride, y.stride, width, dim, 0, 1});
  device.run_once();
  const auto want = [&](u32 n, u32 i) {
    const double cosine = angles.row(n)[i % dim & ~1u], sine = angles.row(n)[i % dim | 1];
    return i % 2 == 0 ? x.row(n)[i] * cosine + x.row(n)[i + 1] * sine : x.row(n)[i] * cosine - x.row(n)[i - 1] * sine;
  };
  y.compare("rope backwards", want, [&](u32 n, u32 i) { return 3 * unit * (std::fabs(x.row(n)[i]) + std::fabs(x.row(n)[i ^ 1])); });
}

}  // namespace

int main(int count, char** arguments) {
  for (u32 set = 0; polyllama_set_name(set) != nullptr; set++) {
    if (!polyllama_set_runs_here(set) || (count > 1 && strcmp(polyllama_set_name(set), arguments[1]) != 0)) continue;
    const u32 before = failures;
    for (u32 threads : {1u, 3u}) {
      place = std::string(polyllama_set_name(set)) + ", " + std::to_string(threads) + " threads";
      const auto all = {check_weight_grad, check_transpose, check_norm_grad, check_swiglu_grad, check_embedding_grad,
                        check_log_probability, check_attention, check_squares, check_adamw, check_rope_backwards};
      for (const auto check : all) {
        Steps device(set, threads);
        check(device);
      }
    }
    printf("%s: %s\n", polyllama_set_name(set), failures == before ? "as it should be" : "WRONG");
  }
  if (failures > 0) fprintf(stderr, "%u failures\n", failures);
  return failures > 0;
}
