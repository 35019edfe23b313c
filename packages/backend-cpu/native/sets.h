// Instruction sets that kernels were compiled for, and which of them the processor has.
#pragma once
#include "platform.h"
#include "team.h"

#if !defined(__wasm__)
namespace plain { extern const Kernels kernels; }
#endif
#if defined(__x86_64__)
namespace avx2 { extern const Kernels kernels; }
namespace avx_vnni { extern const Kernels kernels; }
namespace avx512_vnni { extern const Kernels kernels; }
#include <cpuid.h>

static u64 enabled_registers() {
  u32 low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (u64)high << 32 | low;
}
#elif defined(__aarch64__)
namespace neon { extern const Kernels kernels; }
namespace neon_dot { extern const Kernels kernels; }
namespace neon_i8mm { extern const Kernels kernels; }
#elif defined(__wasm__)
namespace wasm { extern const Kernels kernels; }
#endif

/** Best first. */
static const Kernels* const all_kernels[] = {
#if defined(__x86_64__)
    &avx512_vnni::kernels, &avx_vnni::kernels, &avx2::kernels,
#elif defined(__aarch64__)
    &neon_i8mm::kernels, &neon_dot::kernels, &neon::kernels,
#elif defined(__wasm__)
    &wasm::kernels,
#endif
#if !defined(__wasm__)
    &plain::kernels,
#endif
};
constexpr u32 kernel_count = sizeof(all_kernels) / sizeof(all_kernels[0]);

static bool runs_here([[maybe_unused]] u32 index) {
#if defined(__x86_64__)
  u32 a, b, c, d;
  __cpuid(1, a, b, c, d);
  const bool saves = (c >> 27 & 1) != 0;
  const u64 registers = saves ? enabled_registers() : 0;
  const bool avx = (registers & 6) == 6 && (c >> 28 & 1), fma = c >> 12 & 1, f16c = c >> 29 & 1;
  u32 extended = 0, subleaf = 0, ecx7 = 0, eax71 = 0;
  if (__get_cpuid_max(0, nullptr) >= 7) {
    __cpuid_count(7, 0, subleaf, extended, ecx7, d);
    if (subleaf >= 1) {
      u32 x, y, z;
      __cpuid_count(7, 1, eax71, x, y, z);
    }
  }
  const bool avx2 = avx && fma && f16c && (extended >> 5 & 1);
  const bool avx512 = avx2 && (registers & 0xe6) == 0xe6 && (extended >> 16 & 1) && (extended >> 30 & 1) &&
                      (extended >> 31 & 1) && (extended >> 17 & 1) && (ecx7 >> 11 & 1);
  if (all_kernels[index] == &avx512_vnni::kernels) return avx512;
  if (all_kernels[index] == &avx_vnni::kernels) return avx2 && (eax71 >> 4 & 1);
  if (all_kernels[index] == &avx2::kernels) return avx2;
#elif defined(__aarch64__)
  if (all_kernels[index] == &neon_i8mm::kernels) return platform_has_dot_product() && platform_has_int8_matrices();
  if (all_kernels[index] == &neon_dot::kernels) return platform_has_dot_product();
#endif
  return true;
}
