// What this machine can do on some threads: bytes that they read from memory, and 8-bit products that they add up, a
// second. `limits THREADS` prints JSON: the best of a few tries, since other work only takes away. `limits THREADS now`
// prints bytes alone, and their mean: to be held against other means of the same moment.

#include <immintrin.h>
#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

template <class F> static double seconds(int threads, F work) {
  std::atomic<int> ready{0};
  const auto share = [&](int i) {
    ready++;
    while (ready < threads) std::this_thread::yield();
    work(i);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back(share, i);
  while (ready < threads - 1) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  share(0);
  for (auto& thread : others) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

static std::atomic<uint64_t> sink{0};

__attribute__((target("avx2"))) static void read_memory(const uint8_t* start, size_t bytes) {
  const __m256i* p = (const __m256i*)start;
  __m256i sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes / 32; i += 8) {
    for (int u = 0; u < 8; u++) sums[u] = _mm256_add_epi64(sums[u], _mm256_load_si256(p + i + u));
  }
  for (int u = 0; u < 8; u++) sink += (uint64_t)_mm256_extract_epi64(sums[u], 0);
}

/** Sums that do not wait for each other, and how often each one grows. */
constexpr int chains = 10, repetitions = 20'000'000;

// Written as instructions: a compiler sees that all sums are the same and keeps one.
__attribute__((target("avx512f,avx512vnni"))) static void multiply_avx512_vnni() {
  __m512i sums[chains] = {};
  const __m512i a = _mm512_set1_epi32(0x01020304);
  for (int r = 0; r < repetitions; r++) {
#pragma GCC unroll 16
    for (int u = 0; u < chains; u++) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(sums[u]) : "v"(a));
  }
}

__attribute__((target("avxvnni,avx2"))) static void multiply_avx_vnni() {
  __m256i sums[chains] = {};
  const __m256i a = _mm256_set1_epi32(0x01020304);
  for (int r = 0; r < repetitions; r++) {
#pragma GCC unroll 16
    for (int u = 0; u < chains; u++) __asm__ volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(sums[u]) : "x"(a));
  }
}

/** Pairs of products in 16 bits, pairs of those in 32 bits: what AVX2 alone has. */
__attribute__((target("avx2"))) static void multiply_avx2() {
  __m256i sums[chains] = {};
  const __m256i a = _mm256_set1_epi32(0x01020304), ones = _mm256_set1_epi16(1);
  for (int r = 0; r < repetitions; r++) {
#pragma GCC unroll 16
    for (int u = 0; u < chains; u++) {
      __m256i product;
      __asm__ volatile("vpmaddubsw %2, %2, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"
                       : "+x"(sums[u]), "=&x"(product)
                       : "x"(a), "x"(ones));
    }
  }
}

int main(int count, char** arguments) {
  const int threads = count > 1 ? atoi(arguments[1]) : 1;
  const size_t each = (size_t)512 << 20;
  uint8_t* memory = (uint8_t*)aligned_alloc(2 << 20, each * threads);
  if (memory == nullptr) return 1;
  madvise(memory, each * threads, MADV_HUGEPAGE);
  seconds(threads, [&](int i) { memset(memory + each * i, i + 1, each); });
  const bool now = count > 2 && strcmp(arguments[2], "now") == 0;
  constexpr int passes = 15;
  double least = 1e9, all = 0;
  for (int i = 0; i < passes; i++) {
    const double time = seconds(threads, [&](int t) { read_memory(memory + each * t, each); });
    if (time < least) least = time;
    all += time;
  }
  const double bytes = (double)each * threads, read = now ? passes * bytes / all : bytes / least;
  struct Way {
    const char* name;
    bool here;
    void (*multiply)();
    int products;  // of one instruction
  };
  const Way ways[] = {
      {"avx512_vnni", __builtin_cpu_supports("avx512vnni") != 0, multiply_avx512_vnni, 64},
      {"avx_vnni", __builtin_cpu_supports("avxvnni") != 0, multiply_avx_vnni, 32},
      {"avx2", __builtin_cpu_supports("avx2") != 0, multiply_avx2, 32},
  };
  printf("{\"read\":%.0f,\"products\":{", read);
  const char* separator = "";
  for (const Way& way : ways) {
    if (!way.here || now) continue;
    double best = 0;
    for (int i = 0; i < 3; i++) {
      const double done = 1.0 * way.products * chains * repetitions * threads;
      const double rate = done / seconds(threads, [&](int) { way.multiply(); });
      if (rate > best) best = rate;
    }
    printf("%s\"%s\":%.0f", separator, way.name, best);
    separator = ",";
  }
  printf("}}\n");
}
