// What programs that compare steps with double precision have in common: failures with their place, random rows in a
// device's memory that stand between other numbers, and how far a norm may be off.
#pragma once
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "device.h"

namespace {

constexpr double unit = 0x1p-24;
constexpr float untouched = 12345;
u32 failures = 0;
std::string place;

void fail(const std::string& what) {
  if (failures++ < 40) fprintf(stderr, "FAILED %s: %s\n", place.c_str(), what.c_str());
}
void expect(bool right, const std::string& what) {
  if (!right) fail(what);
}

std::mt19937_64 source(7);
float number() { return std::normal_distribution<float>()(source); }
u32 below(u32 count) { return (u32)(source() % count); }

/** Rows in a device's memory, `stride` apart and with other numbers between and behind them. */
struct Rows {
  Memory memory;
  u32 rows, width, stride;
  Rows(Steps& device, u32 count, u32 wide, u32 apart)
      : memory(device.allocate(4ull * (count + 1) * apart)), rows(count), width(wide), stride(apart) {
    for (u32 i = 0; i < (rows + 1) * stride; i++) memory.floats()[i] = untouched;
  }
  float* row(u32 n) const { return memory.floats() + (u64)stride * n; }
  u64 ref() const { return memory.ref; }
  Rows& random() {
    for (u32 n = 0; n < rows; n++) for (u32 i = 0; i < width; i++) row(n)[i] = number();
    return *this;
  }
  /** Each value within a bound of what it should be, and nothing else written. */
  void compare(const std::string& what, const std::function<double(u32, u32)>& want, const std::function<double(u32, u32)>& bound) const {
    for (u32 n = 0; n <= rows; n++) {
      for (u32 i = 0; i < stride; i++) {
        const bool inside = n < rows && i < width;
        const double right = inside ? want(n, i) : untouched;
        if (std::fabs(row(n)[i] - right) <= (inside ? bound(n, i) : 0)) continue;
        return fail(what + ": " + std::to_string(row(n)[i]) + " instead of " + std::to_string(right) + " in row " +
                    std::to_string(n) + " of " + std::to_string(rows) + ", column " + std::to_string(i) + " of " +
                    std::to_string(width));
      }
    }
  }
};

double exact(u32, u32) { return 0; }

/** 1 / sqrt(mean(x^2) + eps). */
double inverse_norm(const float* x, u32 width, double eps) {
  double sum = 0;
  for (u32 i = 0; i < width; i++) sum += (double)x[i] * x[i];
  return 1 / std::sqrt(sum / width + eps);
}
/** Its relative error in units: half of the sum's (products of a lane, then lanes), of mean, sum, root and quotient. */
double norm_units(u32 width) { return (width / 16 + 1 + 16 + 2) / 2.0 + 3; }

}  // namespace
