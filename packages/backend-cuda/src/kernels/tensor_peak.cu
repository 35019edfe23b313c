// How fast tensor cores are when nothing is read: bf16 products of what stands in registers, sixteen independent sums a warp, so that
// none waits for the one before. Reading prompts is measured against it. By mma.sync, as gemm_mma.cu: cards of compute capability
// 9.0 and 10.0 have other instructions, which reach more.
#include "mma.cuh"

KERNEL_FILE("tensor_peak")

struct Parameters {
  float *y;
  uint32_t rounds;
};
#include "asserts/tensor_peak.cuh"

constexpr int sums = 16;

KERNEL(tensor_peak, Parameters, 256, 2) {
  FragmentA a;
  FragmentB b;
  for (int i = 0; i < 4; i++) a.v[i] = 0x3f803f80u; // ones
  b.v[0] = b.v[1] = 0x3f803f80u;
  FragmentC c[sums] = {};
  for (int i = 0; i < sums; i++) c[i].v[0] = float(i); // no two alike, so that none is left out
#pragma unroll 1
  for (uint32_t round = 0; round < P.rounds; round++) {
#pragma unroll
    for (int i = 0; i < sums; i++) mma_bf16(c[i], a, b);
  }
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < sums; i++) total += c[i].v[0] + c[i].v[1] + c[i].v[2] + c[i].v[3];
  P.y[blockIdx.x * 256 + threadIdx.x] = total;
}
