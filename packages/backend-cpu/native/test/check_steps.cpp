// Compares the steps around products and attention with double precision, or bit by bit where they round nothing, on one
// thread and on three: norms, conversions, rotations, sums, SwiGLU, gathered rows, copies, embeddings, what is kept of
// keys and values that are not finite, draws of tokens, repacking of files and of weights that are not finite, checksums.
//
//   clang++-14 -std=c++17 -O1 test/check_steps.cpp OBJECTS -o steps -lpthread && ./steps [SET [FORMAT...]]
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "rows.h"
#include "stored.h"

namespace {

/** Formats of weights; all where there are none. */
std::vector<std::string> asked;

double silu(double x) { return x / (1 + std::exp(-x)); }
/** Units of exp (2, as a unit in the last place is up to two), sum, quotient and product. */
constexpr double silu_units = 6;

void check_norm(Steps& device) {
  for (u32 width : {1u, 3u, 15u, 16u, 17u, 31u, 40u, 100u, 2048u}) {
    Rows x = Rows(device, 5, width, width + 3).random(), weight = Rows(device, 1, width, width).random();
    Rows y(device, 5, width, width + 2);
    for (u32 i = 0; i < width; i++) x.row(3)[i] *= 1e-3f;  // where eps counts
    device.add(NormStep{step_norm, 5, x.ref(), y.ref(), weight.ref(), x.stride, y.stride, width, 1e-5f});
    device.run_once();
    const auto want = [&](u32 n, u32 i) { return x.row(n)[i] * inverse_norm(x.row(n), width, 1e-5f) * weight.row(0)[i]; };
    y.compare("norm", want, [&](u32 n, u32 i) { return std::fabs(want(n, i)) * (norm_units(width) + 2) * unit; });
  }
}

void check_convert(Steps& device) {
  for (u32 way = 0; way < 4; way++) {
    for (u32 width : {32u, 96u, 512u}) {
      const u32 rows = 5, stride = width / 2 + 16;
      Rows x = Rows(device, rows, width, width + 4).random(), up = Rows(device, rows, width, width + 8).random();
      Rows weight = Rows(device, 1, width, width).random();
      const bool norm = way & 1, swiglu = way & 2;
      for (u32 i = 0; i < 32; i++) x.row(1)[i] = 0;
      for (u32 i = 0; i < 32; i++) x.row(2)[i] *= 0x1p-130f;  // 127 times its inverse would be infinite
      if (!norm && !swiglu) x.row(4)[width - 5] = NAN;
      const Memory y = device.allocate(4ull * rows * stride);
      device.add(ConvertStep{step_convert, rows, x.ref(), swiglu ? up.ref() : 0, norm ? weight.ref() : 0, y.ref, x.stride,
                             up.stride, stride, width, 1e-5f, 0});
      device.run_once();
      const std::string name = "convert" + std::string(norm ? " norm" : "") + (swiglu ? " swiglu" : "");
      for (u32 n = 0; n < rows; n++) {
        const double inverse = norm ? inverse_norm(x.row(n), width, 1e-5f) : 1;
        for (u32 b = 0; b < width / 32; b++) {
          const ConvertedBlock& block = ((const ConvertedBlock*)(y.floats() + n * stride))[b];
          const float* from = x.row(n) + 32 * b;
          if (std::any_of(from, from + 32, [](float v) { return std::isnan(v); })) {
            expect(std::isnan(block.scale), name + ": NaN is lost");
            continue;
          }
          double values[32], largest = 0, units = (norm ? norm_units(width) + 2 : 0) + (swiglu ? silu_units + 1 : 0);
          int sums[2] = {0, 0};
          for (u32 i = 0; i < 32; i++) {
            values[i] = from[i] * (norm ? inverse * weight.row(0)[32 * b + i] : 1);
            if (swiglu && norm) units = std::max(units, (norm_units(width) + 2) * (2 + std::fabs(values[i])) + silu_units + 1);
            if (swiglu) values[i] = silu(values[i]) * up.row(n)[32 * b + i];
            largest = std::max(largest, std::fabs(values[i]));
            sums[i / 16] += block.q[i];
          }
          expect(std::fabs(block.scale - largest / 127) <= largest / 127 * (units + 2) * unit + 0x1p-149, name + ": scale");
          bool right = block.sum == -(sums[0] + sums[1]) && block.scaled_sum == block.scale * (float)block.sum;
          for (u32 half = 0; half < 2; half++) {
            right = right && block.sums[half] == -sums[half] && block.scaled_sums[half] == block.scale * (float)block.sums[half];
          }
          expect(right, name + ": sums of block " + std::to_string(b));
          for (u32 i = 0; i < 32; i++) {
            const double error = std::fabs((double)block.q[i] * block.scale - values[i]);
            if (error <= block.scale * (0.5 + 127 * (2 * units + 4) * unit) + 127 * 0x1p-149) continue;
            fail(name + ": value " + std::to_string(i) + " of block " + std::to_string(b));
            break;
          }
        }
      }
    }
  }
}

void check_rope(Steps& device) {
  for (u32 head_dim : {2u, 10u, 64u}) {
    const u32 rows = 7, heads = 3, width = heads * head_dim, stride = head_dim + 5, rotation = 3;
    Rows x = Rows(device, rows, width, width + 1).random(), y(device, rows, width, width + 4);
    Rows angles = Rows(device, rows, 2 * stride, 2 * stride).random();
    device.told.rotations = angles.ref(), device.told.rotationStride = stride;
    device.add(RopeStep{step_rope, rows, x.ref(), y.ref(), x.stride, y.stride, width, head_dim, rotation, 0});
    device.run_once();
    const auto term = [&](u32 n, u32 i, bool other) {
      const float* turn = angles.row(n) + 2 * rotation + i % head_dim / 2 * 2;
      return (double)x.row(n)[other ? i ^ 1 : i] * (other ? (i & 1 ? turn[1] : -turn[1]) : turn[0]);
    };
    y.compare("rope", [&](u32 n, u32 i) { return term(n, i, false) + term(n, i, true); },
              [&](u32 n, u32 i) { return 2 * unit * (std::fabs(term(n, i, false)) + std::fabs(term(n, i, true))); });
  }
}

void check_elementwise(Steps& device) {
  for (u32 width : {1u, 5u, 16u, 31u, 4095u, 4096u, 4099u, 8192u}) {
    Rows a = Rows(device, 3, width, width + 5).random(), b = Rows(device, 3, width, width + 6).random();
    Rows sum(device, 3, width, width + 7), gated(device, 3, width, width + 8);
    a.row(0)[0] = -90, a.row(1)[0] = 90;
    device.add(AddStep{step_add, 3, a.ref(), b.ref(), sum.ref(), a.stride, b.stride, sum.stride, width});
    device.add(SwigluStep{step_swiglu, 3, a.ref(), b.ref(), gated.ref(), a.stride, b.stride, gated.stride, width});
    device.run_once();
    sum.compare("add", [&](u32 n, u32 i) { return (double)(a.row(n)[i] + b.row(n)[i]); }, exact);
    const auto want = [&](u32 n, u32 i) { return silu(a.row(n)[i]) * b.row(n)[i]; };
    // e^90 is cut off where it is beyond the range: x e^x is then too small by at most what it is.
    gated.compare("swiglu", want, [&](u32 n, u32 i) { return std::fabs(want(n, i)) * silu_units * unit + 0x1p-120; });
  }
}

void check_gather(Steps& device) {
  const u32 width = 37, picked[] = {5, 0, 8, 8, 3};
  Rows x = Rows(device, 9, width, width + 3).random(), y(device, 5, width, width + 1);
  const Memory selection = device.allocate(64);
  memcpy(selection.data, picked, sizeof picked);
  device.told.selection = selection.ref;
  device.add(GatherStep{step_gather, 5, x.ref(), y.ref(), x.stride, y.stride, width, 0});
  device.run_once();
  y.compare("gather", [&](u32 n, u32 i) { return x.row(picked[n])[i]; }, exact);
}

void check_copy(Steps& device) {
  constexpr u64 piece = 1 << 18;
  for (u64 bytes : {u64(1), u64(1000), piece - 1, piece, piece + 1, 3 * piece - 7, 3 * piece}) {
    const Memory from = device.allocate(bytes), to = device.allocate(bytes + 64);
    for (u64 i = 0; i < bytes; i++) from.data[i] = (u8)(1 + below(255));
    device.add(CopyStep{step_copy, 1, from.ref, to.ref, bytes});
    device.run_once();
    expect(memcmp(from.data, to.data, bytes) == 0, "copy of " + std::to_string(bytes) + " bytes");
    for (u64 i = bytes; i < bytes + 64; i++) expect(to.data[i] == 0, "copy wrote beyond its end");
    device.free(from), device.free(to);
  }
}

/** An open file that is gone when it is closed. */
int unnamed_file() {
  FILE* file = tmpfile();
  const int own = dup(fileno(file));
  fclose(file);
  return own;
}

/** Rows into groups behind others, from memory and from a file; and weights that are not finite. */
void check_repack(Steps& device) {
  for (const stored::Format& f : stored::formats) {
    if (!asked.empty() && std::find(asked.begin(), asked.end(), f.name) == asked.end()) continue;
    const u32 columns = 256, rows = 35, tables = 20;  // rows behind others, and the last group not whole
    const u64 row_bytes = (u64)columns / f.columns * f.bytes, packed_row = (u64)columns / f.columns * f.packed;
    const Memory raw = device.allocate(rows * row_bytes);
    const Memory packed = device.allocate(packed_row * 64), other = device.allocate(packed_row * 64);
    const std::string name = std::string("repack ") + f.name;
    stored::fill(f, raw.data, (u64)rows * columns / f.columns, source);
    memset(packed.data, 0x55, packed_row * 64), memset(other.data, 0x55, packed_row * 64);
    device.clear_flags();
    device.add(RepackStep{step_repack, rows, raw.ref, packed.ref, f.number, columns, 16, 0});
    device.run_once();
    expect(!device.not_finite(), name + ": finite weights are called not finite");
    // From a file, behind other bytes.
    const int file = unnamed_file();
    expect(pwrite(file, raw.data, rows * row_bytes, 77) == (long)(rows * row_bytes), "a file cannot be written");
    device.add(RepackStep{step_repack, rows, 77, other.ref, f.number, columns, 16, (u32)file + 1});
    device.run_once();
    expect(device.unread() == 0 && memcmp(packed.data, other.data, packed_row * 64) == 0, name + ": other bytes from a file");
    device.add(RepackStep{step_repack, rows, 78, other.ref, f.number, columns, 16, (u32)file + 1});
    device.run_once();
    expect(device.unread() != 0, name + ": a file that is too short");
    close(file);
    // Rows that fill the last group up are zeros.
    Rows y(device, 16, columns, columns + 4);
    for (u32 i = 0; i < 13; i++) device.rows()[i].token = i + 3;
    device.add(EmbeddingStep{step_embedding, 13, packed.ref, y.ref(), f.number, columns, 48, y.stride});
    device.run_once();
    for (u32 n = 0; n < 13; n++) {
      for (u32 i = 0; i < columns; i++) expect(y.row(n)[i] == 0, name + ": a row behind the last one");
    }
    // Rows of a table that begins within others.
    for (u32 i = 0; i < 15; i++) device.rows()[i].token = (i * 11 + 3) % (rows - 4);
    device.add(EmbeddingStep{step_embedding, 15, packed.ref, y.ref(), f.number, columns, tables, y.stride});
    device.run_once();
    for (u32 n = 0; n < 15; n++) {
      const u64 row = device.rows()[n].token + tables - 16;
      for (u32 i = 0; i < columns; i++) {
        const stored::Value v = f.value(raw.data + row * row_bytes + i / f.columns * f.bytes, i % f.columns);
        if (y.row(n)[i] != (float)(v.product + v.minimum)) {
          fail("embedding " + std::string(f.name) + ": row " + std::to_string(row) + ", column " + std::to_string(i));
          break;
        }
      }
    }
    // One weight is not finite: of the last row, and of the first, which others follow.
    for (const u64 block : {rows * row_bytes - f.bytes, (u64)0}) {
      for (int offset : f.factors) {
        if (offset < 0 && f.factors[0] >= 0) continue;
        u8 kept[4];
        const u64 at = block + (offset < 0 ? 0 : (u64)offset);
        const u64 changed = f.number == format_f32 || f.number == format_q8_k ? 4 : 2;
        memcpy(kept, raw.data + at, changed);
        const u32 infinite = 0x7f800000u;
        const u16 nan = 0x7e01;
        if (f.number == format_f32 || f.number == format_q8_k) memcpy(raw.data + at, &infinite, 4);
        else if (f.number == format_bf16) memcpy(raw.data + at, (const u8*)&infinite + 2, 2);
        else memcpy(raw.data + at, &nan, 2);
        device.clear_flags();
        device.add(RepackStep{step_repack, rows, raw.ref, packed.ref, f.number, columns, 16, 0});
        device.run_once();
        expect(device.not_finite(), name + ": a weight that is not finite is not noticed");
        memcpy(raw.data + at, kept, changed);
        if (offset < 0) break;
      }
    }
    device.clear_flags();
    device.free(raw), device.free(packed), device.free(other), device.free(y.memory);
  }
}

/** A key and a value that are not finite stay that in q8_0, with those of their 32 alone. */
void check_cache(Steps& device) {
  const u32 d = 64, positions = 32, bytes = 34 * 2 * d;
  Rows k = Rows(device, positions, d, d).random(), v = Rows(device, positions, d, d).random();
  k.row(31)[40] = NAN, v.row(5)[3] = INFINITY;
  const Memory pool = device.allocate(2 * bytes), told = device.allocate(4096);
  Sequence* sequence = (Sequence*)told.data;
  *sequence = {pool.ref, told.ref + 512, bytes, 0, positions, format_q8_0, 0};
  *(u32*)(told.data + 512) = 1;
  device.told.sequences = told.ref, device.told.sequenceCount = 1;
  for (u32 i = 0; i < positions; i++) device.rows()[i] = {0, 0, i, 0};
  CacheStep step = {};
  step.kind = step_cache, step.rows = positions, step.k = k.ref(), step.v = v.ref(), step.kStride = step.vStride = d;
  step.heads = step.kvHeads = 1, step.headDim = d, step.kRotation = step.qRotation = unrotated;
  device.add(step);
  device.run_once();
  const u16* scales[] = {(const u16*)(pool.data + bytes + 32 * d), (const u16*)(pool.data + bytes + 34 * d + 32 * d)};
  for (u32 side = 0; side < 2; side++) {
    for (u32 i = 0; i < positions * d / 32; i++) {
      const bool strange = i == (side == 0 ? 32 + 31 : 5);
      expect(((scales[side][i] & 0x7c00) == 0x7c00) == strange, "cache q8_0: scale " + std::to_string(i) + " of " + (side ? "values" : "keys"));
    }
  }
  for (u32 i = 0; i < bytes; i++) expect(pool.data[i] == 0, "cache: another block is written");
}

/** Philox4x32-10. */
void philox(const u32 (&counter)[4], const u32 (&key)[2], u32 (&out)[4]) {
  u32 c[4], k[2] = {key[0], key[1]};
  memcpy(c, counter, sizeof c);
  for (u32 round = 0; round < 10; round++, k[0] += 0x9e3779b9u, k[1] += 0xbb67ae85u) {
    const u64 p0 = 0xd2511f53ull * c[0], p1 = 0xcd9e8d57ull * c[2];
    const u32 next[4] = {(u32)(p1 >> 32) ^ c[1] ^ k[0], (u32)p1, (u32)(p0 >> 32) ^ c[3] ^ k[1], (u32)p0};
    memcpy(c, next, sizeof c);
  }
  memcpy(out, c, sizeof c);
}

u32 weight_of(float distance, const u32* powers) {
  if (distance == 0) return 1u << 30;
  if (!(distance < 31)) return 0;
  const u32 steps = (u32)(distance * 65536.0f), place = steps >> 8 & 255, rest = steps & 255;
  return (powers[place] - ((powers[place] - powers[place + 1]) * rest >> 8)) >> (steps >> 16);
}

/** The token that a draw gives: all sorted, cut, and gone through in the order of their ids. */
u32 drawn(const Draw& draw, const float* logits, u32 count, const u32* powers) {
  std::vector<u32> order(count);
  for (u32 i = 0; i < count; i++) {
    if (std::isnan(logits[i])) return 0xffffffffu;
    order[i] = i;
  }
  std::stable_sort(order.begin(), order.end(), [&](u32 a, u32 b) { return logits[a] > logits[b]; });
  if (logits[order[0]] == -INFINITY) return 0xfffffffeu;
  if (draw.greedy) return order[0];
  std::vector<u32> weights(count);
  for (u32 i = 0; i < count; i++) weights[i] = logits[i] == logits[order[0]] ? 1u << 30 : weight_of((logits[order[0]] - logits[i]) * draw.scale, powers);
  const u32 top = draw.topK > 0 && draw.topK < count ? draw.topK : count;
  u64 total = 0, passed = 0;
  for (u32 i = 0; i < count; i++) total += i < top ? weights[order[i]] : (weights[order[i]] = 0);
  if (draw.topP < 1) {
    const double enough = draw.topP * (double)total;
    for (u32 i = 0; i < count; i++) {
      if (i > 0 && (double)passed >= enough) weights[order[i]] = 0;
      passed += weights[order[i]];
    }
  }
  total = passed = 0;
  for (u32& weight : weights) total += weight = weight >= draw.least ? weight : 0;
  u32 bits[4];
  philox({draw.position, 0, 0, 0}, {draw.seedLow, draw.seedHigh}, bits);
  const u64 target = (u64)((unsigned __int128)total * ((u64)bits[1] << 32 | bits[0]) >> 64);
  for (u32 i = 0; i < count; i++) {
    passed += weights[i];
    if (passed > target) return i;
  }
  return order[0];
}

void check_sample(Steps& device) {
  u32 known[4];
  philox({0, 0, 0, 0}, {0, 0}, known);
  expect(known[0] == 0x6627e8d5u && known[1] == 0xe169c58du, "the check's own Philox");
  const u32 rows = 40, width = 1003;
  Rows x = Rows(device, rows, width, width + 5).random();
  const Memory powers = device.allocate(4 * 257), draws = device.allocate(sizeof(Draw) * rows), chosen = device.allocate(4 * rows);
  for (u32 i = 0; i <= 256; i++) ((u32*)powers.data)[i] = (u32)std::lround(std::ldexp(1, 30) * std::exp2(-(double)i / 256));
  for (u32 turn = 0; turn < 12; turn++) {
    for (u32 n = 0; n < rows; n++) {
      // Many are equal, and zeros of both signs.
      for (u32 i = 0; i < width; i++) x.row(n)[i] = turn % 3 == 0 ? number() * 3 : (float)((int)below(7) - 3) * (i & 1 ? 1.0f : 0.5f);
      if (turn % 3 == 1) for (u32 i = 0; i < width; i += 3) x.row(n)[i] = i & 1 ? 0.0f : -0.0f;
      if (n == 5) x.row(n)[width - 1] = NAN;
      if (n == 6) for (u32 i = 0; i < width; i++) x.row(n)[i] = -INFINITY;
      if (n == 7) for (u32 i = 3; i < width; i++) x.row(n)[i] = -INFINITY;
      Draw& draw = ((Draw*)draws.data)[n];
      draw = {};
      draw.topP = n % 4 == 0 ? 1 : n % 4 == 1 ? 0.01 * (1 + below(99)) : n % 4 == 2 ? 0.5 : 0;
      draw.seedLow = (u32)source(), draw.seedHigh = (u32)source(), draw.position = below(5000);
      draw.scale = 1.442695f * (0.2f + (float)below(20) / 10), draw.topK = n % 3 == 0 ? 0 : n % 3 == 1 ? 1 + below(60) : below(2000);
      draw.least = n % 5 == 0 ? (1u << 30) / (1 + below(50)) : 0, draw.greedy = n % 7 == 0, draw.row = rows - 1 - n;
    }
    device.add(SampleStep{step_sample, rows, x.ref(), powers.ref, draws.ref, chosen.ref, x.stride, width});
    device.run_once();
    for (u32 n = 0; n < rows; n++) {
      const Draw& draw = ((Draw*)draws.data)[n];
      const u32 want = drawn(draw, x.row(draw.row), width, (const u32*)powers.data), is = ((u32*)chosen.data)[n];
      if (want != is) fail("sample: token " + std::to_string(is) + " instead of " + std::to_string(want) + ", turn " + std::to_string(turn) + ", row " + std::to_string(n));
    }
  }
}

void check_pages(Steps& device) {
  constexpr u64 page = 1 << 20;
  struct Known {
    const char* text;
    u64 sum;
  };
  // From xxHash's own tests, and those of its Python binding.
  for (const Known& known : {Known{"a", 0xd24ec4f1a98c6e5bull}, {"abc", 0x44bc2cf5ad770999ull},
                             {"Nobody inspects the spammish repetition", 0xfbcea83c8a378bf1ull}}) {
    const Memory text = device.allocate(64), sum = device.allocate(8);
    memcpy(text.data, known.text, strlen(known.text));
    device.add(ReadStep{step_read, 1, text.ref, strlen(known.text), sum.ref, 0, 1, 0, 0});
    device.run_once();
    expect(*(u64*)sum.data == known.sum, "checksum of \"" + std::string(known.text) + "\"");
  }
  const u64 bytes = 3 * page + 4099;
  const Memory from = device.allocate(bytes), to = device.allocate(bytes), sums = device.allocate(64);
  for (u64 i = 0; i + 8 <= bytes; i += 8) *(u64*)(from.data + i) = source();
  const int file = unnamed_file();
  expect(write(file, from.data, bytes) == (long)bytes, "a file cannot be written");
  device.clear_flags();
  device.add(ReadStep{step_read, 4, from.ref, bytes, sums.ref, 0, 1, 0, 0});
  device.add(ReadStep{step_read, 4, to.ref, bytes, sums.ref, (u32)file + 1, 0, 0, 0});
  device.run_once();
  expect(device.unread() == 0 && memcmp(from.data, to.data, bytes) == 0, "pages of a file");
  for (u64 at : {u64(0), page - 1, page, 3 * page - 1, 3 * page, bytes - 1, page + below(page)}) {
    from.data[at] ^= 1 << below(8);
    device.clear_flags();
    // The damaged page and those behind it.
    const u32 first = (u32)(at / page);
    device.add(ReadStep{step_read, 4 - first, from.ref, bytes, sums.ref, 0, 0, first, 0});
    device.run_once();
    expect(device.unread() == first + 1, "damage at byte " + std::to_string(at));
    memcpy(from.data + at, to.data + at, 1);
  }
  expect(ftruncate(file, (long)bytes - 1) == 0, "a file cannot be cut");
  device.clear_flags();
  device.add(ReadStep{step_read, 4, to.ref, bytes, sums.ref, (u32)file + 1, 0, 0, 0});
  device.run_once();
  expect(device.unread() == 4, "a file that is too short");
  device.clear_flags();
  close(file);
}

}  // namespace

int main(int count, char** arguments) {
  for (int i = 2; i < count; i++) asked.push_back(arguments[i]);
  for (u32 set = 0; polyllama_set_name(set) != nullptr; set++) {
    if (!polyllama_set_runs_here(set) || (count > 1 && strcmp(polyllama_set_name(set), arguments[1]) != 0)) continue;
    const u32 before = failures;
    for (u32 threads : {1u, 3u}) {
      place = std::string(polyllama_set_name(set)) + ", " + std::to_string(threads) + " threads";
      const auto all = {check_norm, check_convert, check_rope, check_elementwise, check_gather, check_copy, check_repack, check_cache, check_sample, check_pages};
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
