// f32 products of a BLAS at the shapes of a feed-forward block, forth and back: x [N, K] times [M, K] transposed, then
// that [N, M] times [K, M] transposed. `blas THREADS N K M PAIRS` prints the seconds of so many pairs, once warmed up.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

extern "C" {
void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda,
                 const float* b, int ldb, float beta, float* c, int ldc);
void openblas_set_num_threads(int threads);
}
constexpr int row_major = 101, not_transposed = 111, transposed = 112;

/** y [N, rows] = x [N, columns] w [rows, columns]^T. */
static void multiply(const std::vector<float>& x, const std::vector<float>& w, std::vector<float>& y, int n, int rows,
                     int columns) {
  cblas_sgemm(row_major, not_transposed, transposed, n, rows, columns, 1, x.data(), columns, w.data(), columns, 0,
              y.data(), rows);
}

int main(int count, char** arguments) {
  if (count != 6) return 2;
  const int threads = atoi(arguments[1]), n = atoi(arguments[2]), k = atoi(arguments[3]), m = atoi(arguments[4]);
  const int pairs = atoi(arguments[5]);
  openblas_set_num_threads(threads);
  std::vector<float> x((size_t)n * k), y((size_t)n * m), up((size_t)m * k), down((size_t)k * m);
  for (auto* values : {&x, &up, &down}) {
    unsigned state = 1;
    for (float& value : *values) value = (float)((state = state * 1664525u + 1013904223u) >> 8) * 1e-9f;
  }
  const auto pass = [&] {
    multiply(x, up, y, n, m, k);
    multiply(y, down, x, n, k, m);
  };
  pass();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < pairs; i++) pass();
  printf("%.9f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}
