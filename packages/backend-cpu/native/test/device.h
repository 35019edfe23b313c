// The library's functions as the host calls them, and steps run on it.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

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

/** A block of input in int8, as kernels/convert.h has it. */
struct ConvertedBlock {
  i8 q[32];
  float scale;
  i32 sum;
  float scaled_sum;
  i32 sums[2];
  float scaled_sums[2];
  u32 unused;
};

/** Memory of a device. */
struct Memory {
  u64 ref;
  u8* data;
  float* floats() const { return (float*)data; }
};

/** A device and what it is told: room for the run, its steps and rows in one arena. */
class Steps {
 public:
  Steps(u32 set, u32 threads) : device_(polyllama_open(set, threads)) {
    if (device_ == nullptr) fprintf(stderr, "no device\n"), exit(1);
    control_ = (u32*)polyllama_address(device_, 0);
    told_ = allocate(1 << 20);
  }
  ~Steps() { polyllama_close(device_); }
  Steps(const Steps&) = delete;

  Memory allocate(u64 bytes) {
    const u32 arena = polyllama_allocate(device_, bytes);
    if (arena == 0) fprintf(stderr, "out of memory\n"), exit(1);
    return {(u64)arena << 48, (u8*)polyllama_address(device_, arena)};
  }
  void free(const Memory& memory) { polyllama_free(device_, (u32)(memory.ref >> 48)); }

  template <class Step> void add(const Step& step) {
    memcpy(told_.data + 65536 + step_bytes * count_++, &step, sizeof(Step));
  }
  Row* rows() { return (Row*)(told_.data + 4096); }
  /** What runs are told beside their steps and rows. */
  Run told = {};
  /** Runs the steps that were added; they stay until `clear`. */
  void run() {
    Run* run = (Run*)told_.data;
    *run = told;
    run->steps = told_.ref + 65536;
    run->rows = told_.ref + 4096;
    run->stepCount = count_;
    polyllama_run(device_, told_.ref);
  }
  void clear() { count_ = 0; }
  void run_once() {
    run();
    clear();
  }
  /** Flags that the host sets and reads. */
  void set_abort(u32 value) { __atomic_store_n(control_, value, __ATOMIC_RELAXED); }
  bool not_finite() const { return control_[1] != 0; }
  u32 unread() const { return control_[2]; }
  void clear_flags() { control_[1] = control_[2] = 0; }

 private:
  Device* device_;
  u32* control_;
  Memory told_;
  u32 count_ = 0;
};
