// Checks attention and the write of keys and values against double precision, and that a row has the same bits whether
// it is decoded or part of a prompt, whatever else is computed with it and on however many threads; in every instruction
// set that runs here. With `bench`, measures instead: attention bench [set] [threads]
// [decode | prefill].
//
//   clang++-14 -std=c++17 -O2 test/attention.cpp -o attention -L BUILD -lpolyllama -Wl,-rpath,BUILD
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <chrono>
#include <string>
#include <vector>

#include "../half.h"
#include "../structs.h"

struct Device;
extern "C" {
const char* polyllama_set_name(u32 index);
u32 polyllama_set_runs_here(u32 index);
Device* polyllama_open(u32 set, u32 threads);
void polyllama_close(Device* device);
u32 polyllama_allocate(Device* device, u64 bytes);
void* polyllama_address(Device* device, u32 arena);
void polyllama_free(Device* device, u32 arena);
void polyllama_run(Device* device, u64 run);
}

namespace {

constexpr u32 block_positions = 32;

struct Random {
  u64 state;
  u32 next() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(state >> 33);
  }
  /** Between -1 and 1. */
  float number() { return (float)((double)next() / 0x1p30 - 1); }
};

const char* format_name(u32 format) {
  return format == format_f32 ? "f32" : format == format_f16 ? "f16" : format == format_bf16 ? "bf16" : "q8_0";
}

u64 bytes_of(u32 format, u64 values) {
  return format == format_f32 ? 4 * values : format == format_q8_0 ? values / 32 * 34 : 2 * values;
}

struct Shape {
  u32 heads, kv_heads, head_dim, format;
  bool rotated = false;
  u32 q_width() const { return heads * head_dim; }
  u32 kv_width() const { return kv_heads * head_dim; }
};

/** A device with memory for one attention after another. */
class Machine {
 public:
  Machine(u32 set, u32 threads) : device_(polyllama_open(set, threads)) {
    if (device_ == nullptr) fprintf(stderr, "no device\n"), exit(1);
  }
  ~Machine() { polyllama_close(device_); }
  Machine(const Machine&) = delete;

  struct Memory {
    u64 ref;
    u8* data;
    float* floats() const { return (float*)data; }
  };
  Memory allocate(u64 bytes) {
    const u32 arena = polyllama_allocate(device_, bytes < 64 ? 64 : bytes);
    if (arena == 0) fprintf(stderr, "out of memory\n"), exit(1);
    return {(u64)arena << 48, (u8*)polyllama_address(device_, arena)};
  }
  void free(const Memory& memory) { polyllama_free(device_, (u32)(memory.ref >> 48)); }
  void run(u64 ref) { polyllama_run(device_, ref); }

 private:
  Device* device_;
};

/** Queries, keys and values of a sequence, q and k as they are when rotated, and what comes out. */
struct Text {
  u32 length;
  std::vector<float> q, k, v, y, rotated_q, rotated_k;
};

/** Pairs of cosine and sine of a position: of keys, then of queries, which turn otherwise. */
std::vector<float> angles_of(const Shape& shape, u32 position) {
  std::vector<float> angles;
  for (double speed : {1.0, 1.5}) {
    for (u32 i = 0; i < shape.head_dim / 2; i++) {
      const double angle = speed * position * pow(100, -2.0 * i / shape.head_dim);
      angles.push_back((float)cos(angle)), angles.push_back((float)sin(angle));
    }
  }
  return angles;
}

/** Rows of heads, rotated by the first or the second half of angles. */
std::vector<float> rotated(const Shape& shape, const std::vector<float>& rows, u32 width, u32 half) {
  std::vector<float> result = rows;
  if (!shape.rotated) return result;
  for (u32 n = 0; n < rows.size() / width; n++) {
    const std::vector<float> angles = angles_of(shape, n);
    for (u32 i = 0; i < width; i += 2) {
      const float *x = &rows[(u64)n * width + i], *turn = &angles[half * shape.head_dim + i % shape.head_dim];
      result[(u64)n * width + i] = x[0] * turn[0] - x[1] * turn[1];
      result[(u64)n * width + i + 1] = x[0] * turn[1] + x[1] * turn[0];
    }
  }
  return result;
}

Text random_text(const Shape& shape, u32 length, Random& random) {
  Text t = {length, {}, {}, {}, {}, {}, {}};
  t.q.resize((u64)length * shape.q_width());
  t.k.resize((u64)length * shape.kv_width());
  t.v.resize((u64)length * shape.kv_width());
  t.y.resize(t.q.size());
  for (float& x : t.q) x = 3 * random.number();
  for (float& x : t.k) x = 2 * random.number();
  for (float& x : t.v) x = random.number();
  t.rotated_q = rotated(shape, t.q, shape.q_width(), 1);
  t.rotated_k = rotated(shape, t.k, shape.kv_width(), 0);
  return t;
}

/** Values that lie before this attention's in a block. */
constexpr u32 before = 64;

/** Computes texts together: in each run a text advances by its next chunk of rows. */
void compute(u32 set, u32 threads, const Shape& shape, std::vector<Text*> texts, std::vector<std::vector<u32>> chunks) {
  Machine m(set, threads);
  const u64 block_bytes = bytes_of(shape.format, (u64)block_positions * (before + 2 * shape.kv_width()));
  u32 blocks = 0, rows_most = 0;
  u64 words = 0;
  const u32 partial = 16 * ((shape.head_dim + 15) / 16) + 16;
  for (u32 i = 0; i < texts.size(); i++) {
    blocks += (texts[i]->length + block_positions - 1) / block_positions;
    u32 largest = 0;
    for (u32 rows : chunks[i]) largest = rows > largest ? rows : largest;
    rows_most += largest;
    words += (u64)split_rows * ((texts[i]->length + part_keys - 1) / part_keys) * shape.heads * partial;
  }
  auto pool = m.allocate(blocks * block_bytes), told = m.allocate(1 << 20), partials = m.allocate(4 * words);
  memset(pool.data, 0xff, blocks * block_bytes);  // what is not written is not a number
  auto q = m.allocate(4ull * rows_most * shape.q_width()), y = m.allocate(4ull * rows_most * shape.q_width());
  auto k = m.allocate(4ull * rows_most * shape.kv_width()), v = m.allocate(4ull * rows_most * shape.kv_width());
  auto turned = m.allocate(4ull * rows_most * shape.q_width()), angles = m.allocate(8ull * rows_most * shape.head_dim);
  Run* run = (Run*)told.data;
  Row* rows = (Row*)(told.data + (64 << 10));
  Sequence* sequences = (Sequence*)(told.data + (512 << 10));
  u32* tables = (u32*)(told.data + (600 << 10));
  u8* steps = told.data + 4096;
  for (u32 i = 0; i < blocks; i++) tables[i] = (7 * i + 3) % blocks;  // no neighbours
  if (blocks % 7 == 0) for (u32 i = 0; i < blocks; i++) tables[i] = blocks - 1 - i;
  std::vector<u32> done(texts.size());
  for (u32 turn = 0;; turn++) {
    u32 count = 0, used = 0, table = 0;
    for (u32 i = 0; i < texts.size(); i++) {
      const Text& t = *texts[i];
      if (turn < chunks[i].size()) {
        const u32 n = chunks[i][turn];
        const u32 sequence = used++;
        sequences[sequence] = {pool.ref, told.ref + (600 << 10) + 4 * table, block_bytes, count, n, shape.format, 0};
        memcpy(q.floats() + (u64)count * shape.q_width(), &t.q[(u64)done[i] * shape.q_width()], 4ull * n * shape.q_width());
        memcpy(k.floats() + (u64)count * shape.kv_width(), &t.k[(u64)done[i] * shape.kv_width()], 4ull * n * shape.kv_width());
        memcpy(v.floats() + (u64)count * shape.kv_width(), &t.v[(u64)done[i] * shape.kv_width()], 4ull * n * shape.kv_width());
        for (u32 r = 0; r < n; r++) {
          const std::vector<float> own = angles_of(shape, done[i] + r);
          memcpy(angles.floats() + own.size() * count, own.data(), 4 * own.size());
          rows[count++] = {0, sequence, done[i] + r, 0};
        }
      }
      table += (t.length + block_positions - 1) / block_positions;
    }
    if (count == 0) break;
    CacheStep cache = {};
    cache.kind = step_cache, cache.rows = count, cache.k = k.ref, cache.v = v.ref;
    cache.kStride = cache.vStride = shape.kv_width();
    cache.heads = shape.heads, cache.kvHeads = shape.kv_heads, cache.headDim = shape.head_dim, cache.before = before;
    cache.kRotation = shape.rotated ? 0 : unrotated;
    cache.qRotation = shape.rotated ? shape.head_dim / 2 : unrotated;
    if (shape.rotated) cache.q = q.ref, cache.rotatedQ = turned.ref;
    cache.qStride = cache.rotatedQStride = shape.q_width();
    AttentionStep attention = {};
    attention.kind = step_attention, attention.rows = count, attention.y = y.ref;
    attention.q = shape.rotated ? turned.ref : q.ref;
    attention.qStride = attention.yStride = shape.q_width();
    attention.heads = shape.heads, attention.kvHeads = shape.kv_heads, attention.headDim = shape.head_dim;
    attention.before = before;
    memcpy(steps, &cache, sizeof cache);
    memcpy(steps + step_bytes, &attention, sizeof attention);
    attention.kind = step_combine;
    memcpy(steps + 2 * step_bytes, &attention, sizeof attention);
    *run = {};
    run->steps = told.ref + 4096, run->rows = told.ref + (64 << 10), run->sequences = told.ref + (512 << 10);
    run->partials = partials.ref, run->stepCount = 3, run->rowCount = count, run->sequenceCount = used;
    run->rotations = angles.ref, run->rotationStride = shape.head_dim;
    m.run(told.ref);
    u32 from = 0;
    for (u32 i = 0; i < texts.size(); i++) {
      if (turn >= chunks[i].size()) continue;
      const u32 n = chunks[i][turn];
      memcpy(&texts[i]->y[(u64)done[i] * shape.q_width()], y.floats() + (u64)from * shape.q_width(), 4ull * n * shape.q_width());
      from += n, done[i] += n;
    }
  }
}

/** A whole length in chunks of `size`, behind a first one of the rest. */
std::vector<u32> chunks_of(u32 length, u32 size) {
  std::vector<u32> list;
  if (length % size != 0) list.push_back(length % size);
  for (u32 i = 0; i < length / size; i++) list.push_back(size);
  return list;
}

/** What is kept of a value among the 32 that share a scale. */
double kept(u32 format, const float* values, u64 index) {
  const float x = values[index];
  if (format == format_q8_0) {
    float top = 0;
    for (u64 i = index / 32 * 32; i < index / 32 * 32 + 32; i++) top = fmaxf(top, fabsf(values[i]));
    const double scale = from_f16(to_f16(top / 127));
    return scale == 0 ? 0 : scale * fmax(-127, fmin(127, nearbyint((double)(float)(x / scale))));
  }
  return format == format_f32 ? x : format == format_f16 ? from_f16(to_f16(x)) : from_bf16(to_bf16(x));
}

constexpr double unit = 0x1p-24;
double dot_units(double k) { return fmin(6 * sqrt(k), k) * unit; }

/** The largest error of some rows in terms of its bound. */
double compare(const Shape& shape, const Text& t, Random& random) {
  double worst = 0;
  const u32 d = shape.head_dim;
  for (u32 turn = 0; turn < 12; turn++) {
    const u32 row = turn == 0 ? t.length - 1 : turn == 1 ? 0 : random.next() % t.length;
    const u32 head = turn < 2 ? shape.heads - 1 : random.next() % shape.heads, group = head / (shape.heads / shape.kv_heads);
    const float* q = &t.rotated_q[(u64)row * shape.q_width() + head * d];
    std::vector<double> score(row + 1), slack(row + 1);
    double largest = -INFINITY;
    for (u32 j = 0; j <= row; j++) {
      double sum = 0, size = 0;
      for (u32 i = 0; i < d; i++) {
        const double x = q[i] * kept(shape.format, t.rotated_k.data(), (u64)j * shape.kv_width() + group * d + i);
        sum += x, size += fabs(x);
      }
      score[j] = sum / sqrt((double)d);
      slack[j] = (dot_units(d) * size / sqrt((double)d)) + 3 * unit * fabs(score[j]);
      largest = fmax(largest, score[j]);
    }
    double total = 0, most_slack = 0;
    for (u32 j = 0; j <= row; j++) {
      slack[j] += 2 * unit * (largest - score[j]) + 4 * unit;  // of the difference, and of exp
      score[j] = exp(score[j] - largest);
      total += score[j];
    }
    for (u32 j = 0; j <= row; j++) most_slack += score[j] * slack[j] / total;
    for (u32 i = 0; i < d; i++) {
      double sum = 0, size = 0, error = 0;
      for (u32 j = 0; j <= row; j++) {
        const double x = score[j] / total * kept(shape.format, t.v.data(), (u64)j * shape.kv_width() + group * d + i);
        sum += x, size += fabs(x), error += fabs(x) * slack[j];
      }
      const double bound = error + size * (most_slack + 2 * dot_units(row + 1) + 8 * unit) + 0x1p-120;
      const double share = fabs(t.y[(u64)row * shape.q_width() + head * d + i] - sum) / bound;
      if (isnan(share)) return share;
      worst = fmax(worst, share);
    }
  }
  return worst;
}

u32 faults = 0;

void expect_same(const char* set, const Shape& shape, const Text& a, const Text& b, const char* how) {
  if (memcmp(a.y.data(), b.y.data(), 4 * a.y.size()) == 0) return;
  u64 i = 0;
  while (memcmp(&a.y[i], &b.y[i], 4) == 0) i++;
  printf("%s: %u/%u heads of %u, %s, length %u, %s: row %llu head %llu: %.9g is not %.9g\n", set, shape.heads,
         shape.kv_heads, shape.head_dim, format_name(shape.format), a.length, how, i / shape.q_width(),
         i % shape.q_width() / shape.head_dim, b.y[i], a.y[i]);
  faults++;
}

void check(u32 set, const Shape& shape, const std::vector<u32>& lengths, Random& random) {
  const char* name = polyllama_set_name(set);
  std::vector<Text> base;
  for (u32 length : lengths) {
    base.push_back(random_text(shape, length, random));
    compute(set, 1, shape, {&base.back()}, {{length}});
    const double error = compare(shape, base.back(), random);
    if (!(error <= 1)) {
      printf("%s: %u/%u heads of %u, %s, length %u: %.3g of the bound\n", name, shape.heads, shape.kv_heads, shape.head_dim,
             format_name(shape.format), length, error);
      faults++;
    }
  }
  std::vector<Text> again = base;
  const auto compare_all = [&](const char* how) {
    for (u32 i = 0; i < again.size(); i++) {
      expect_same(name, shape, base[i], again[i], how);
      for (float& x : again[i].y) x = NAN;
    }
  };
  for (u32 i = 0; i < again.size(); i++) {
    std::vector<u32> list = {lengths[i]};
    if (lengths[i] <= 600) list = chunks_of(lengths[i], 1);
    else list = {lengths[i] - 3, 1, 1, 1};
    compute(set, 2, shape, {&again[i]}, {list});
  }
  compare_all("row by row on 2 threads");
  std::vector<Text*> all;
  std::vector<std::vector<u32>> mixed, large;
  for (u32 i = 0; i < again.size(); i++) {
    all.push_back(&again[i]);
    mixed.push_back(chunks_of(lengths[i], 1 + random.next() % (lengths[i] < 100 ? 9 : 70)));
    large.push_back(chunks_of(lengths[i], 33 + random.next() % 200));
  }
  compute(set, 3, shape, all, mixed);
  compare_all("together in chunks on 3 threads");
  compute(set, 2, shape, all, large);
  compare_all("together in large chunks on 2 threads");
}

int check_all(const char* only) {
  for (u32 set = 0; polyllama_set_name(set) != nullptr; set++) {
    if (!polyllama_set_runs_here(set)) continue;
    if (only != nullptr && strcmp(only, polyllama_set_name(set)) != 0) continue;
    const u32 before_faults = faults;
    Random random = {set + 1};
    for (u32 format : {(u32)format_f32, (u32)format_f16, (u32)format_bf16}) {
      check(set, {4, 4, 8, format}, {1, 31, 32, 33, 255, 256, 257}, random);
      check(set, {8, 2, 64, format}, {1, 33, 257, 530}, random);
      check(set, {8, 1, 128, format}, {31, 300}, random);
      check(set, {3, 3, 48, format}, {32, 270}, random);
      check(set, {16, 2, 80, format}, {5, 260}, random);
      check(set, {2, 1, 10, format}, {64, 513}, random);
      check(set, {2, 2, 512, format}, {40}, random);
    }
    check(set, {4, 2, 32, format_q8_0}, {1, 31, 32, 33, 255, 256, 257}, random);
    check(set, {8, 2, 64, format_q8_0}, {1, 33, 257, 530}, random);
    check(set, {8, 1, 128, format_q8_0}, {31, 300}, random);
    check(set, {2, 2, 512, format_q8_0}, {40}, random);
    check(set, {4, 2, 48, format_f16, true}, {1, 33, 300}, random);
    check(set, {4, 1, 64, format_q8_0, true}, {70, 270}, random);
    check(set, {4, 1, 16, format_f16}, {3500, 700, 1}, random);
    check(set, {60, 1, 16, format_f32}, {300, 2}, random);
    printf("%s: %s\n", polyllama_set_name(set), faults == before_faults ? "as it should be" : "WRONG");
  }
  return faults != 0;
}

typedef std::chrono::steady_clock Clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/** Seconds of the process's own computing: with one thread not disturbed by others. */
double computed() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)
/** Products and sums a second of registers of 16 and of 8 lanes. */
template <class V> __attribute__((target("avx512f,fma"), always_inline)) inline double peak(V one) {
  V sums[12];
  for (V& s : sums) s = one;
  const double start = computed();
  const u32 turns = 20000000;
  for (u32 i = 0; i < turns; i++) {
    for (V& s : sums) s = s * one + one;
    __asm__ volatile("" : "+v"(one));
  }
  const double seconds = computed() - start;
  V all = one;
  for (V& s : sums) all += s;
  return all[0] == 0.5f ? 0 : 2.0 * 12 * (sizeof(V) / 4) * turns / seconds / 1e9;
}
typedef float F16 __attribute__((vector_size(64)));
typedef float F8 __attribute__((vector_size(32)));
__attribute__((target("avx512f,fma"))) double peak_16() { return peak<F16>(F16{} + 0.5f); }
__attribute__((target("avx512f,fma"))) double peak_8() { return peak<F8>(F8{} + 0.5f); }
#endif

/** Attention of all layers: `rows` behind `filled` positions. */
void bench(u32 set, u32 threads, const char* name, const Shape& shape, u32 layers, u32 filled, u32 rows) {
  Machine m(set, threads);
  const u32 length = filled + rows, blocks = (length + block_positions - 1) / block_positions;
  const u64 block_bytes = bytes_of(shape.format, (u64)block_positions * 2 * shape.kv_width() * layers);
  auto pool = m.allocate(blocks * block_bytes), told = m.allocate(1 << 20);
  auto partials = m.allocate(4ull * split_rows * (length / part_keys + 1) * shape.heads * (shape.head_dim + 32));
  auto q = m.allocate(4ull * rows * shape.q_width()), y = m.allocate(4ull * rows * shape.q_width());
  auto k = m.allocate(4ull * rows * shape.kv_width()), v = m.allocate(4ull * rows * shape.kv_width());
  Random random = {1};
  for (u64 i = 0; i < (u64)rows * shape.q_width(); i++) q.floats()[i] = random.number();
  for (u64 i = 0; i < (u64)rows * shape.kv_width(); i++) k.floats()[i] = v.floats()[i] = random.number();
  for (u64 i = 0; i < blocks * block_bytes / 2; i++) {
    ((u16*)pool.data)[i] = shape.format == format_f32 ? (i & 1 ? 0x3e00 : 7) : 0x3000 + (u16)(i * 13 & 511);
  }
  Run* run = (Run*)told.data;
  Row* row = (Row*)(told.data + (64 << 10));
  Sequence* sequence = (Sequence*)(told.data + (512 << 10));
  u32* table = (u32*)(told.data + (600 << 10));
  for (u32 i = 0; i < blocks; i++) table[i] = i;
  for (u32 i = 0; i < rows; i++) row[i] = {0, 0, filled + i, 0};
  *sequence = {pool.ref, told.ref + (600 << 10), block_bytes, 0, rows, shape.format, 0};
  const auto time = [&](bool writes) {
    u8* step = told.data + 4096;
    u32 count = 0;
    for (u32 layer = 0; layer < layers; layer++) {
      CacheStep cache = {};
      cache.kind = step_cache, cache.rows = rows, cache.k = k.ref, cache.v = v.ref;
      cache.kStride = cache.vStride = shape.kv_width();
      cache.heads = shape.heads, cache.kvHeads = shape.kv_heads, cache.headDim = shape.head_dim;
      cache.before = 2 * shape.kv_width() * layer;
      cache.kRotation = cache.qRotation = unrotated;
      AttentionStep attention = {};
      attention.kind = step_attention, attention.rows = rows, attention.q = q.ref, attention.y = y.ref;
      attention.qStride = attention.yStride = shape.q_width();
      attention.heads = shape.heads, attention.kvHeads = shape.kv_heads, attention.headDim = shape.head_dim;
      attention.before = 2 * shape.kv_width() * layer;
      if (writes) {
        memcpy(step + step_bytes * count++, &cache, sizeof cache);
      } else {
        memcpy(step + step_bytes * count++, &attention, sizeof attention);
        attention.kind = step_combine;
        memcpy(step + step_bytes * count++, &attention, sizeof attention);
      }
    }
    *run = {};
    run->steps = told.ref + 4096, run->rows = told.ref + (64 << 10), run->sequences = told.ref + (512 << 10);
    run->partials = partials.ref, run->stepCount = count, run->rowCount = rows, run->sequenceCount = 1;
    double best = 1e9;
    const auto start = Clock::now();
    for (u32 i = 0; i < 3 || seconds_since(start) < 1; i++) {
      const auto begin = Clock::now();
      const double before_run = computed();
      m.run(told.ref);
      best = fmin(best, threads == 1 ? computed() - before_run : seconds_since(begin));
    }
    return best;
  };
  const double write = time(true), seconds = time(false);
  u64 seen = 0;
  for (u32 i = 0; i < rows; i++) seen += filled + i + 1;
  const double products = 2.0 * seen * shape.q_width() * layers;
  const double bytes = (double)bytes_of(shape.format, (u64)length * 2 * shape.kv_width() * layers);
  printf("%-12s %u threads %-5s %-9s rows %3u behind %4u: %8.3f ms, %6.2f GB/s, %7.1f GFLOP/s; write %7.3f ms\n",
         polyllama_set_name(set), threads, format_name(shape.format), name, rows, filled, 1e3 * seconds, bytes / seconds / 1e9,
         2 * products / seconds / 1e9, 1e3 * write);
  fflush(stdout);
}

void bench_all(const char* only, u32 threads, const char* part) {
#if defined(__x86_64__)
  if (strcmp(only, "avx512_vnni") == 0) printf("peak of one thread with 16 lanes: %.1f GFLOP/s\n", peak_16());
  else printf("peak of one thread with 8 lanes: %.1f GFLOP/s\n", peak_8());
#endif
  const bool decode = part == nullptr || strcmp(part, "decode") == 0, prefill = part == nullptr || strcmp(part, "prefill") == 0;
  for (u32 set = 0; polyllama_set_name(set) != nullptr; set++) {
    if (!polyllama_set_runs_here(set) || strcmp(only, polyllama_set_name(set)) != 0) continue;
    for (u32 format : {(u32)format_f32, (u32)format_f16, (u32)format_bf16, (u32)format_q8_0}) {
      if (decode) bench(set, threads, "TinyLlama", {32, 4, 64, format}, 22, 3500, 1);
      if (decode && format != format_f32) bench(set, threads, "7B", {32, 32, 128, format}, 16, 3500, 1);
      if (prefill) bench(set, threads, "TinyLlama", {32, 4, 64, format}, 22, 0, 512);
      if (prefill) bench(set, threads, "TinyLlama", {32, 4, 64, format}, 4, 3000, 512);
      if (prefill) bench(set, threads, "7B", {32, 32, 128, format}, 4, 0, 512);
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && strcmp(arguments[1], "bench") == 0) {
    bench_all(count > 2 ? arguments[2] : "avx512_vnni", count > 3 ? (u32)atoi(arguments[3]) : 2,
              count > 4 ? arguments[4] : nullptr);
    return 0;
  }
  return check_all(count > 1 ? arguments[1] : nullptr);
}
