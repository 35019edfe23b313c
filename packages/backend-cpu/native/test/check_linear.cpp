// Compares matrix products, embeddings and conversions of every instruction set with double precision that reads the
// stored blocks, for every format; and their bits with those of other numbers of rows and threads.
#include <algorithm>
#include <string>

#include "device.h"
#include "stored.h"

namespace {

constexpr u32 most_rows = 33, first_row = 32, matrix_rows = 85, table_rows = first_row + matrix_rows;
u32 failures = 0;

void fail(const std::string& what) {
  if (failures++ < 40) fprintf(stderr, "FAILED %s\n", what.c_str());
}

/** Everything of one format and width, alike for all devices. */
struct Case {
  const stored::Format* format;
  u32 columns;
  std::vector<u8> blocks;                // [table_rows, columns]
  std::vector<float> x, norm, up, base;  // [most_rows, columns], [columns], [most_rows, columns], [most_rows, matrix_rows]

  Case(const stored::Format& f, u32 width, std::mt19937_64& random) : format(&f), columns(width) {
    blocks.resize((u64)table_rows * (columns / f.columns) * f.bytes);
    stored::fill(f, blocks.data(), (u64)table_rows * (columns / f.columns), random);
    std::normal_distribution<float> normal;
    for (u32 i = 0; i < most_rows * columns; i++) x.push_back(normal(random)), up.push_back(normal(random));
    for (u32 i = 0; i < 32; i++) x[columns + i] = 0;  // a block of zeros
    for (u32 i = 0; i < 2 * columns; i++) x[2 * columns + i] = i < columns ? 1 : -1;  // all as large as can be
    for (u32 i = 0; i < columns; i++) norm.push_back(normal(random));
    for (u32 i = 0; i < most_rows * matrix_rows; i++) base.push_back(normal(random));
  }
  stored::Value value(u32 row, u32 k) const {
    const u64 block = (u64)row * (columns / format->columns) + k / format->columns;
    return format->value(blocks.data() + block * format->bytes, k % format->columns);
  }
};

/** What a device gives. */
struct Results {
  std::vector<float> y[2];  // [most_rows, matrix_rows], of f32 and of int8 input
  std::vector<float> embedded;
  std::vector<ConvertedBlock> converted;
};

const u32 counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 33};

Results compute(u32 set, u32 threads, const Case& c, const std::string& name) {
  Steps device(set, threads);
  const stored::Format& f = *c.format;
  const u64 row_bytes = c.blocks.size() / table_rows;
  const u32 xStride = c.columns + 8, qStride = c.columns / 32 * 16 + 16, yStride = matrix_rows + 3, baseStride = matrix_rows + 1;
  const Memory raw = device.allocate(c.blocks.size());
  const Memory packed = device.allocate((u64)(table_rows + 15) / 16 * 16 * (c.columns / f.columns) * f.packed);
  const Memory x = device.allocate(4ull * most_rows * xStride), converted = device.allocate(4ull * most_rows * qStride + 64);
  const Memory y = device.allocate(4ull * (most_rows + 1) * yStride), base = device.allocate(4ull * most_rows * baseStride);
  const Memory embedded = device.allocate(4ull * table_rows * xStride);
  memcpy(raw.data, c.blocks.data(), c.blocks.size());
  for (u32 n = 0; n < most_rows; n++) {
    memcpy(x.floats() + n * xStride, c.x.data() + n * c.columns, 4 * c.columns);
    memcpy(base.floats() + n * baseStride, c.base.data() + n * matrix_rows, 4 * matrix_rows);
  }
  // In two parts, the second into the groups behind the first.
  device.add(RepackStep{step_repack, first_row, raw.ref, packed.ref, f.number, c.columns, 0, 0});
  device.add(RepackStep{step_repack, matrix_rows, raw.ref + first_row * row_bytes, packed.ref, f.number, c.columns, first_row, 0});
  const bool int8 = f.columns > 1;
  if (int8) {
    device.add(ConvertStep{step_convert, most_rows, x.ref, 0, 0, converted.ref, xStride, 0, qStride, c.columns, 0, 0});
  }
  for (u32 row = 0; row < table_rows; row++) device.rows()[row].token = row * 7 % table_rows;
  device.add(EmbeddingStep{step_embedding, table_rows, packed.ref, embedded.ref, f.number, c.columns, 0, xStride});
  device.run_once();
  if (device.not_finite()) fail(name + ": finite weights are called not finite");

  Results results;
  results.embedded.resize((u64)table_rows * c.columns);
  for (u32 i = 0; i < table_rows; i++) {
    memcpy(&results.embedded[(u64)(i * 7 % table_rows) * c.columns], embedded.floats() + (u64)i * xStride, 4 * c.columns);
  }
  for (u32 n = 0; int8 && n < most_rows; n++) {
    const ConvertedBlock* blocks = (const ConvertedBlock*)(converted.floats() + n * qStride);
    results.converted.insert(results.converted.end(), blocks, blocks + c.columns / 32);
  }
  for (u32 rounded = 0; rounded <= (int8 ? 1u : 0u); rounded++) {
    for (u32 count : {most_rows, counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], counts[6], counts[7], counts[8], counts[9]}) {
      // The last `count` rows, so that a row meets different neighbours.
      const u32 first = most_rows - count;
      for (u32 i = 0; i < (most_rows + 1) * yStride; i++) y.floats()[i] = 12345;
      const u64 input = rounded ? converted.ref + 4 * qStride * first : x.ref + 4 * xStride * first;
      device.add(LinearStep{step_linear, count, packed.ref, input, base.ref + 4 * baseStride * first, y.ref, f.number,
                            first_row, matrix_rows, c.columns, rounded ? qStride : xStride, baseStride, yStride, rounded});
      device.run_once();
      std::vector<float>& all = results.y[rounded];
      const std::string what = name + (rounded ? " int8 " : " f32 ") + std::to_string(count) + " rows";
      for (u32 n = 0; n <= count; n++) {
        const float* row = y.floats() + n * yStride;
        if (count == most_rows && n < count) all.insert(all.end(), row, row + matrix_rows);
        const u64 untouched = n < count ? matrix_rows : 0;
        for (u64 i = untouched; i < yStride; i++) {
          if (row[i] != 12345) fail(what + ": wrote beyond its rows"), i = yStride;
        }
        if (n < count && memcmp(row, &all[(u64)(first + n) * matrix_rows], 4 * matrix_rows) != 0) {
          fail(what + ": other bits than among 33 rows");
        }
      }
      // Without what is added: as much less, to the last place of the sum.
      if (count == 2 || count == most_rows) {
        const std::vector<float> with(y.floats(), y.floats() + count * yStride);
        device.add(LinearStep{step_linear, count, packed.ref, input, 0, y.ref, f.number, first_row, matrix_rows, c.columns,
                              rounded ? qStride : xStride, 0, yStride, rounded});
        device.run_once();
        for (u32 n = 0; n < count; n++) {
          for (u32 m = 0; m < matrix_rows; m++) {
            const float sum = y.floats()[n * yStride + m] + c.base[(first + n) * matrix_rows + m];
            if (sum != with[n * yStride + m]) fail(what + ": residual"), m = matrix_rows, n = count - 1;
          }
        }
      }
    }
  }
  return results;
}

/** Compares with double precision. */
void compare(const Case& c, const Results& r, const std::string& name) {
  const stored::Format& f = *c.format;
  const double unit = std::ldexp(1, -24);
  std::vector<stored::Value> values((u64)table_rows * c.columns);
  for (u32 row = 0; row < table_rows; row++) {
    for (u32 k = 0; k < c.columns; k++) values[(u64)row * c.columns + k] = c.value(row, k);
  }
  for (u64 i = 0; i < values.size(); i++) {
    const float want = (float)(values[i].product + values[i].minimum);
    if (memcmp(&want, &r.embedded[i], 4) != 0 && !(want == 0 && r.embedded[i] == 0)) {
      fail(name + " embedding: row " + std::to_string(i / c.columns) + " column " + std::to_string(i % c.columns) + ": " +
           std::to_string(r.embedded[i]) + " instead of " + std::to_string(want));
      break;
    }
  }
  for (u64 i = 0; i < r.converted.size(); i++) {
    const ConvertedBlock& block = r.converted[i];
    const float* x = c.x.data() + 32 * i;
    float largest = 0;
    int sums[2] = {0, 0};
    for (u32 k = 0; k < 32; k++) largest = std::max(largest, std::fabs(x[k])), sums[k / 16] += block.q[k];
    bool right = block.scale == largest / 127.0f && block.sum == -(sums[0] + sums[1]);
    right = right && block.scaled_sum == block.scale * (float)block.sum;
    for (u32 half = 0; half < 2; half++) {
      right = right && block.sums[half] == -sums[half] && block.scaled_sums[half] == block.scale * (float)block.sums[half];
    }
    if (!right) {
      fail(name + " convert: scale or sums of block " + std::to_string(i));
    }
    for (u32 k = 0; k < 32; k++) {
      // The quotient is rounded twice before it is rounded to an integer, and is at most 127.
      if (std::fabs((double)block.q[k] * block.scale - x[k]) > block.scale * (0.5 + 127 * 4 * unit)) {
        fail(name + " convert: value " + std::to_string(32 * i + k)), k = 32;
      }
    }
  }
  for (u32 rounded = 0; rounded < 2; rounded++) {
    if (r.y[rounded].empty()) continue;
    double worst = 0;
    for (u32 n = 0; n < most_rows; n++) {
      for (u32 m = 0; m < matrix_rows; m++) {
        const stored::Value* w = &values[(u64)(first_row + m) * c.columns];
        double sum = 0, magnitude = 0;
        for (u32 k = 0; k < c.columns; k++) {
          double x = c.x[n * c.columns + k];
          if (rounded) {
            const ConvertedBlock& block = r.converted[n * (c.columns / 32) + k / 32];
            x = (double)block.scale * block.q[k % 32];
          }
          sum += (w[k].product + w[k].minimum) * x;
          magnitude += (std::fabs(w[k].product) + std::fabs(w[k].minimum)) * std::fabs(x);
        }
        const double residual = c.base[n * matrix_rows + m];
        // Each sum and each product is rounded once (twice where they do not fuse); products of scales as well.
        const double terms = rounded ? c.columns / 32 * f.sums : c.columns;
        const double bound = std::min(2 * terms + 4, 6 * std::sqrt(terms) + 8) * unit * magnitude + unit * (std::fabs(sum + residual) + magnitude);
        const double error = std::fabs(r.y[rounded][n * matrix_rows + m] - (sum + residual));
        worst = std::max(worst, error / bound);
        if (!(error <= bound)) {
          fail(name + (rounded ? " int8" : " f32") + ": row " + std::to_string(n) + " of x, " + std::to_string(m) +
               " of weights: " + std::to_string(r.y[rounded][n * matrix_rows + m]) + " instead of " +
               std::to_string(sum + residual) + ", error / bound " + std::to_string(error / bound));
          m = matrix_rows, n = most_rows;
        }
      }
    }
    printf("  %s%s %.2f", f.name, rounded ? "/int8" : "", worst);
  }
}

bool same(const Results& a, const Results& b) {
  const auto equal = [](const auto& p, const auto& q) {
    return p.size() == q.size() && memcmp(p.data(), q.data(), p.size() * sizeof(p[0])) == 0;
  };
  return equal(a.y[0], b.y[0]) && equal(a.y[1], b.y[1]) && equal(a.embedded, b.embedded);
}

}  // namespace

int main(int count, char** arguments) {
  for (u32 set = 0; polyllama_set_name(set) != nullptr; set++) {
    const std::string set_name = polyllama_set_name(set);
    if (!polyllama_set_runs_here(set) || (count > 1 && set_name != arguments[1])) continue;
    printf("%s: error / bound", set_name.c_str());
    std::mt19937_64 random(1);
    for (const stored::Format& format : stored::formats) {
      if (count > 2 && std::find(arguments + 2, arguments + count, std::string(format.name)) == arguments + count) continue;
      std::vector<u32> widths = {256, 768};
      // No whole number of the columns that are computed at once.
      if (format.columns < 256) widths.push_back(format.columns == 1 ? 100 : 288);
      // So wide that a matrix has several units of work; one format of each way.
      if (format.number == format_q4_0 || format.number == format_f16) widths.push_back(6144);
      for (u32 columns : widths) {
        const Case c(format, columns, random);
        const std::string name = set_name + " " + format.name + " " + std::to_string(columns) + " columns";
        const Results alone = compute(set, 1, c, name);
        for (u32 threads : {2, 3}) {
          if (!same(alone, compute(set, threads, c, name))) fail(name + ": other bits with " + std::to_string(threads) + " threads");
        }
        compare(c, alone, name);
      }
    }
    printf("\n");
  }
  if (failures > 0) fprintf(stderr, "%u failures\n", failures);
  return failures > 0;
}
