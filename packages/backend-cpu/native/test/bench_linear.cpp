// Measures matrix products: bench_linear [set] [threads] [format,format...] [rows,rows...]. Up to 64 rows in bytes of
// weights a second, beside what plain reading reaches; for more rows in products a second, beside what registers allow.
// Shapes are those of a model of 1.1B parameters; matrices are used in turn, far more of them than the cache holds.
// Everything is timed in pieces of about a millisecond, of which the fast ones count: other processes may be running.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "device.h"
#include "stored.h"

namespace {

typedef std::chrono::steady_clock Clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <class Work> double timed(u32 threads, Work work) {
  const auto start = Clock::now();
  std::vector<std::thread> others;
  for (u32 i = 1; i < threads; i++) others.emplace_back(work, i);
  work(0);
  for (auto& other : others) other.join();
  return seconds_since(start);
}

volatile u64 sink;

__attribute__((target("avx2"))) u64 read_all(const u8* p, u64 bytes) {
  __m256i sums[8] = {};
  for (u64 i = 0; i + 256 <= bytes; i += 256) {
    for (u32 j = 0; j < 8; j++) sums[j] = _mm256_add_epi64(sums[j], _mm256_loadu_si256((const __m256i*)(p + i) + j));
  }
  u64 sum = 0;
  for (const __m256i& s : sums) sum += (u64)(s[0] + s[1] + s[2] + s[3]);
  return sum;
}

/** Products a second of what the set has for bytes, in registers alone. */
__attribute__((target("avx512f,avx512bw,avx512vnni"))) u64 peak_avx512(u64 turns) {
  __m512i sums[12] = {}, a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (u32 i = 0; i < sizeof(sums) / 32; i++) ((__m256i*)sums)[i] += (i64)i;
  for (u64 i = 0; i < turns; i++) {
#pragma GCC unroll 16
    for (__m512i& s : sums) s = _mm512_dpbusd_epi32(s, a, b);
    __asm__ volatile("" : "+v"(a), "+v"(b));
  }
  for (const __m512i& s : sums) sink = sink + (u64)s[0];
  return turns * 12 * 64;
}
__attribute__((target("avx2,avxvnni"))) u64 peak_avx_vnni(u64 turns) {
  __m256i sums[12] = {}, a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (u32 i = 0; i < sizeof(sums) / 32; i++) ((__m256i*)sums)[i] += (i64)i;
  for (u64 i = 0; i < turns; i++) {
#pragma GCC unroll 16
    for (__m256i& s : sums) s = _mm256_dpbusd_avx_epi32(s, a, b);
    __asm__ volatile("" : "+x"(a), "+x"(b));
  }
  for (const __m256i& s : sums) sink = sink + (u64)s[0];
  return turns * 12 * 32;
}
__attribute__((target("avx2"))) u64 peak_avx2(u64 turns) {
  __m256i sums[6] = {}, a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
  for (u32 i = 0; i < sizeof(sums) / 32; i++) ((__m256i*)sums)[i] += (i64)i;
  for (u64 i = 0; i < turns; i++) {
#pragma GCC unroll 16
    for (__m256i& s : sums) s = _mm256_add_epi16(s, _mm256_maddubs_epi16(a, b));
    __asm__ volatile("" : "+x"(a), "+x"(b));
  }
  for (const __m256i& s : sums) sink = sink + (u64)s[0];
  return turns * 6 * 32;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(',', start), list.size());
    parts.push_back(list.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

/** Of times of many pieces alike, the one that a tenth of them undercut. */
double quiet(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 10];
}

/** What is measured of one format. */
struct Bench {
  const stored::Format& format;
  Steps& device;
  u32 layers;
  u64 wide, tall;  // bytes of a layer's matrices: [11264, 2048] and [2048, 5632]
  Memory packed, x, y;

  static constexpr u32 hidden = 2048, inner = 5632, most_rows = 512;
  static constexpr double weights = 3.0 * hidden * inner;

  Bench(const stored::Format& f, Steps& d) : format(f), device(d) {
    wide = 2ull * inner * hidden / f.columns * f.packed;
    tall = (u64)hidden * inner / f.columns * f.packed;
    layers = (u32)std::max(4ull, (300ull << 20) / (wide + tall));
    packed = d.allocate(layers * (wide + tall));
    x = d.allocate(8ull * most_rows * inner);
    y = d.allocate(4ull * most_rows * 2 * inner);
    repack();
    std::mt19937_64 random(2);
    std::normal_distribution<float> normal;
    float* values = (float*)(x.data + 4ull * most_rows * inner);
    for (u64 i = 0; i < (u64)most_rows * inner; i++) values[i] = normal(random);
    const u64 from = x.ref + 4ull * most_rows * inner;
    std::vector<double> times;
    for (u32 round = 0; round < 10; round++) {
      if (rounded()) d.add(ConvertStep{step_convert, most_rows, from, 0, 0, x.ref, inner, 0, inner / 32 * 16 + 16, inner, 0, 0});
      if (!rounded()) d.add(CopyStep{step_copy, 1, from, x.ref, 4ull * most_rows * inner});
      const auto start = Clock::now();
      d.run_once();
      times.push_back(seconds_since(start));
    }
    if (rounded()) printf("convert %.2f G/s | ", 1e-9 * most_rows * inner / quiet(times));
  }
  ~Bench() { device.free(packed), device.free(x), device.free(y); }

  bool rounded() const { return format.columns > 1 && getenv("F32") == nullptr; }

  void repack() {
    const u64 each = (3ull * hidden * inner) / format.columns * format.bytes;
    std::mt19937_64 random(1);
    const Memory raw = device.allocate(layers * each);
    const u64 piece = 65536ull * format.bytes;
    std::vector<u8> blocks(piece);
    stored::fill(format, blocks.data(), 65536, random);
    for (u64 at = 0; at < layers * each; at += piece) memcpy(raw.data + at, blocks.data(), std::min(piece, layers * each - at));
    std::vector<double> times;
    const u32 part = 256;
    for (u32 round = 0; round < 2; round++) {
      for (u32 layer = 0; layer < layers; layer++) {
        for (u32 row = 0; row < 2 * inner; row += part) {
          const u64 from = raw.ref + layer * each + (u64)row * hidden / format.columns * format.bytes;
          device.add(RepackStep{step_repack, part, from, packed.ref + layer * (wide + tall), format.number, hidden, row, 0});
          const auto start = Clock::now();
          device.run_once();
          if (round > 0) times.push_back(seconds_since(start));
        }
        device.add(RepackStep{step_repack, hidden, raw.ref + layer * each + each / 3 * 2, packed.ref + layer * (wide + tall) + wide, format.number, inner, 0, 0});
        device.run_once();
      }
    }
    printf("%-6s repack %.1f GB/s | ", format.name, 1e-9 * part * hidden / format.columns * format.bytes / quiet(times));
    device.free(raw);
  }

  /** Products a second: of all weights in turn, a part of them at a time. */
  double run(u32 rows) {
    const u32 flag = rounded(), wideStride = flag ? hidden / 32 * 16 + 16 : hidden, tallStride = flag ? inner / 32 * 16 + 16 : inner;
    const u32 part = rows <= 4 ? 2048 : rows <= 16 ? 512 : 128;
    const bool hot = getenv("HOT") != nullptr;  // weights in the cache
    std::vector<double> times[2];
    for (u32 round = 0; round < (rows <= 64 ? 3 : 1); round++) {
      for (u32 layer = 0; layer < (rows <= 64 ? layers : std::min(layers, 4u)); layer++) {
        const u64 at = packed.ref + (hot ? 0 : layer) * (wide + tall);
        for (u32 row = 0; row + part <= 2 * inner; row += part) {
          device.add(LinearStep{step_linear, rows, at, x.ref, 0, y.ref, format.number, hot ? 0 : row, part, hidden, wideStride, 0, 2 * inner, flag});
          const auto start = Clock::now();
          device.run_once();
          times[0].push_back(seconds_since(start) / (part * hidden));
        }
        for (u32 row = 0; row + part / 2 <= hidden; row += part / 2) {
          device.add(LinearStep{step_linear, rows, at + wide, x.ref, 0, y.ref, format.number, hot ? 0 : row, part / 2, inner, tallStride, 0, 2 * inner, flag});
          const auto start = Clock::now();
          device.run_once();
          times[1].push_back(seconds_since(start) / (part / 2 * inner));
        }
      }
    }
    return rows / (2 * quiet(times[0]) + quiet(times[1])) * 3;
  }
};

}  // namespace

int main(int count, char** arguments) {
  const std::string set_name = count > 1 ? arguments[1] : "avx512_vnni";
  const u32 threads = count > 2 ? (u32)atoi(arguments[2]) : 2;
  const std::string names = count > 3 ? arguments[3] : "q4_0,q8_0,q4_k";
  const std::vector<std::string> row_counts = split(count > 4 ? arguments[4] : "1,2,4,8,32,512");
  u32 set = 0;
  while (polyllama_set_name(set) != nullptr && set_name != polyllama_set_name(set)) set++;
  Steps device(set, threads);

  const u64 room = 1ull << 28, piece = 1ull << 21;
  const Memory all = device.allocate(room);
  for (u64 i = 0; i < room; i += 8) memcpy(all.data + i, &i, 8);
  const auto read = [&] {
    std::vector<double> times[64];
    timed(threads, [&](u32 i) {
      for (u64 at = room / threads * i; at + piece <= room / threads * (i + 1); at += piece) {
        const auto start = Clock::now();
        sink = sink + read_all(all.data + at, piece);
        times[i].push_back(seconds_since(start));
      }
    });
    return 1e-9 * threads * (double)piece / quiet(times[0]);
  };
  std::vector<double> times;
  double products = 0;
  for (u32 round = 0; round < 100; round++) {
    const auto start = Clock::now();
    constexpr u64 turns = 100000;
    products = (double)(set_name == "avx512_vnni" ? peak_avx512(turns) : set_name == "avx_vnni" ? peak_avx_vnni(turns) : peak_avx2(turns));
    times.push_back(seconds_since(start));
  }
  printf("%s, %u threads: read %.1f GB/s, int8 peak %.0f GMAC/s\n", set_name.c_str(), threads, read(), 1e-9 * threads * products / quiet(times));

  const std::vector<std::string> chosen = split(names);
  for (const stored::Format& format : stored::formats) {
    if (names != "all" && std::find(chosen.begin(), chosen.end(), format.name) == chosen.end()) continue;
    Bench bench(format, device);
    double one = 0;
    for (const std::string& text : row_counts) {
      const u32 rows = (u32)atoi(text.c_str());
      const double speed = bench.run(rows);
      if (rows == 1) one = speed;
      const double bytes = 1e-9 * speed / rows * format.packed / format.columns, reading = rows == 1 ? read() : 0;
      if (rows == 1) printf("1: %.1f GB/s, %.0f %% of %.1f", bytes, 100 * bytes / reading, reading);
      if (rows > 1 && rows <= 64) printf(" | %u: %.1f GB/s", rows, bytes);
      if (rows > 4) printf(" | %u: %.0f GMAC/s", rows, 1e-9 * speed);
      if (rows > 1 && one > 0) printf(" (x%.1f)", speed / one);
    }
    printf("\n");
    fflush(stdout);
  }
}
