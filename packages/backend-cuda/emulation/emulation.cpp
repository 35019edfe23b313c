// The CUDA execution model on one processor core. A block's threads are fibers that run until they reach a barrier or a
// shuffle; blocks run one after another. The order of threads and blocks is forward, backward or random, since a kernel that is
// right does not depend on it. Memory has a shadow byte per byte (not allocated, not yet written, written), and shared memory also
// remembers who wrote and who read it since the last barrier, so that a missing barrier is an error in every order. Asynchronous
// copies arrive as late as they may: when their thread waits for them.
#include "emulation.h"
#include "runtime.h"

#include <deque>
#include <random>
#include <sys/mman.h>

#ifndef __x86_64__
#error "The emulation switches fibers by x86-64 code."
#endif

namespace {

constexpr size_t arenaBytes = size_t(1) << 36;
constexpr size_t stackBytes = 64 << 10;
constexpr int maxThreads = 1024;
constexpr size_t sharedBytes = 256 << 10;
constexpr size_t redZone = 32;

enum class State { ready, block, warp, ended };

/// Kinds of exchange: 0 to 3 are shuffles.
constexpr int gatherKind = 4, mmaKind = 5;

struct Fragments { const uint32_t *a, *b; const float *c; float *d; };
struct Copy { size_t to; uint8_t bytes[16]; };

struct Thread : emu_thread_state {
  void *stack = nullptr;
  State state = State::ended;
  int index = 0;
  // A pending exchange with the warp.
  uint32_t mask = 0;
  int kind = 0, argument = 0;
  uint32_t value = 0, result = 0;
  Fragments fragments = {};
  uint32_t gathered[4] = {};
  // Asynchronous copies: those of the group that is not committed yet, and groups that are under way.
  std::vector<Copy> open;
  std::deque<std::vector<Copy>> groups;
};

/// Of four bytes, the least that kernels keep in shared memory.
struct SharedWord {
  uint8_t usable;
  /// 0 never, 1 written, 2 an asynchronous copy is on its way.
  uint8_t written;
  int16_t writer, reader;
  uint32_t writeEpoch, readEpoch, writeWarpEpoch, readWarpEpoch;
};

struct SharedArray { const void *site; size_t at, bytes; };

uint8_t *arena, *shadow, *stacks;
alignas(64) uint8_t sharedMemory[sharedBytes];
SharedWord sharedShadow[sharedBytes / 4];
std::vector<SharedArray> sharedArrays;
size_t sharedUsed;
Thread threads[maxThreads];
int threadCount;
uint32_t epoch;
uint32_t warpEpochs[maxThreads / 32];
uint32_t gatheredWords[maxThreads / 32][32 * 4];
float halfValues[65536];
void *schedulerStack;
void (*kernelCode)(const void *);
const void *kernelParameters;
std::string kernelName;
bool aborted;
int errorCode;
int order;
std::mt19937 randomness(1);
/// Memory whose loads are counted.
const uint8_t *watchedFrom;
size_t watchedSize;
uint64_t loadedBytes;

extern "C" void emu_switch(void **from, void *to);
asm(R"(
.text
.globl emu_switch
.type emu_switch, @function
emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emu_switch, .-emu_switch
)");

Thread *current() { return static_cast<Thread *>(emu_current); }

void toScheduler() { emu_switch(&current()->stack, schedulerStack); }

std::string place(const Thread &t) {
  char text[160];
  snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", kernelName.c_str(), t.block.x, t.block.y,
           t.block.z, t.thread.x, t.thread.y, t.thread.z);
  return text;
}

/// Records what is wrong and gives up the launch; a thread does not come back from here.
void fail(int code, const Thread &t, const std::string &what) {
  if (!aborted) {
    emuReport(place(t) + ": " + what);
    errorCode = code;
  }
  aborted = true;
  if (emu_current != nullptr) {
    current()->state = State::ended;
    toScheduler();
  }
}

void entry() {
  kernelCode(kernelParameters);
  current()->state = State::ended;
  toScheduler();
}

void prepare(Thread &t) {
  auto *top = reinterpret_cast<void **>(stacks + stackBytes * (t.index + 1));
  *--top = nullptr; // the frame above; keeps the stack aligned as a call would
  *--top = reinterpret_cast<void *>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  t.stack = top;
  t.state = State::ready;
  t.open.clear();
  t.groups.clear();
}

/// c plus eight products as a tensor core sums them: each addend cut off (not rounded) at the last of the largest one's 24 bits,
/// then the sum cut off at its own 24. That is the coarsest of what was measured on cards (Fasi, Higham, Mikaitis and Pranesh, Numerical
/// behavior of NVIDIA tensor cores, PeerJ Computer Science 7:e330, 2021); newer ones keep some bits more.
float truncatedSum(float c, const float *a, const float *b) {
  double addends[9];
  uint64_t largest = 0;
  for (int i = 0; i < 9; i++) {
    addends[i] = i == 8 ? double(c) : double(a[i]) * b[i]; // exact
    uint64_t bits;
    memcpy(&bits, &addends[i], 8);
    largest = std::max(largest, bits << 1 >> 53);
  }
  if (largest == 0) return 0;
  if (largest == 2047) {
    for (int i = 0; i < 8; i++) c += a[i] * b[i];
    return c;
  }
  const int exponent = int(largest) - 1023 - 23;
  const double scale = std::ldexp(1.0, -exponent);
  int64_t sum = 0;
  for (double addend : addends) sum += int64_t(addend * scale);
  int64_t size = std::abs(sum);
  int shift = 0;
  while (size >> 24 != 0) size >>= 1, shift++;
  return float(std::ldexp(double(sum < 0 ? -size : size), exponent + shift));
}

/// The whole warp's m16n8k16. Lane l has rows l / 4 and 8 more, and columns 2 (l % 4) and one more (PTX ISA, "Matrix Fragments for
/// mma.m16n8k16 with floating point type").
void multiply(int first, bool bf16) {
  float a[16][16], b[8][16];
  const auto value = [&](uint32_t pair, int side) {
    const uint32_t bits = pair >> (16 * side) & 0xffffu;
    return bf16 ? __uint_as_float(bits << 16) : halfValues[bits];
  };
  for (int lane = 0; lane < 32; lane++) {
    const Fragments &f = threads[first + lane].fragments;
    const int group = lane / 4, column = lane % 4 * 2;
    for (int side = 0; side < 2; side++) {
      for (int i = 0; i < 4; i++) a[group + i % 2 * 8][column + i / 2 * 8 + side] = value(f.a[i], side);
      for (int i = 0; i < 2; i++) b[group][column + i * 8 + side] = value(f.b[i], side);
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    const Fragments &f = threads[first + lane].fragments;
    for (int i = 0; i < 4; i++) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      f.d[i] = truncatedSum(truncatedSum(f.c[i], a[row], b[column]), a[row] + 8, b[column] + 8);
    }
  }
}

void exchange(int warp) {
  const int first = warp * 32;
  for (int lane = 0; lane < 32; lane++) {
    Thread &t = threads[first + lane];
    if (first + lane >= threadCount || t.state != State::warp) continue;
    bool complete = true;
    for (int other = 0; other < 32; other++) {
      if (!(t.mask >> other & 1)) continue;
      if (first + other >= threadCount || threads[first + other].state != State::warp || threads[first + other].mask != t.mask)
        complete = false;
    }
    if (!complete) return;
    for (int other = 0; other < 32; other++) {
      if (!(t.mask >> other & 1) || (threads[first + other].kind < gatherKind && t.kind < gatherKind)) continue;
      if (threads[first + other].kind == t.kind) continue;
      emu_current = nullptr;
      fail(719, t, "lane " + std::to_string(other) + " of the warp is at another instruction, which needs all lanes too");
      return;
    }
    if (t.kind == mmaKind) multiply(first, t.argument != 0);
    for (int self = 0; self < 32; self++) {
      if (!(t.mask >> self & 1)) continue;
      Thread &one = threads[first + self];
      int source = self;
      if (one.kind == 0) source = one.argument & 31;
      if (one.kind == 1) source = self ^ one.argument;
      if (one.kind == 2) source = self + one.argument > 31 ? self : self + one.argument;
      if (one.kind == 3) source = self - one.argument < 0 ? self : self - one.argument;
      if (one.kind == gatherKind) memcpy(gatheredWords[warp] + self * 4, one.gathered, 16);
      if (one.kind >= gatherKind) continue;
      if (source < 0 || source > 31 || !(t.mask >> source & 1)) {
        emu_current = nullptr;
        fail(719, one, "a shuffle reads lane " + std::to_string(source) + ", which does not take part in it");
        return;
      }
      one.result = threads[first + source].value;
    }
    for (int self = 0; self < 32; self++)
      if (t.mask >> self & 1) threads[first + self].state = State::ready;
    warpEpochs[warp]++;
    return;
  }
}

void waitForWarp(uint32_t mask, int kind, int argument) {
  Thread &t = *current();
  if (!(mask >> (t.index & 31) & 1)) fail(719, t, "a lane waits for a mask that it is not in");
  t.mask = mask;
  t.kind = kind;
  t.argument = argument;
  t.state = State::warp;
  toScheduler();
}

void shuffled(std::vector<int> &list) {
  if (order == 1) std::reverse(list.begin(), list.end());
  if (order == 2) std::shuffle(list.begin(), list.end(), randomness);
}

void runBlock() {
  sharedArrays.clear();
  sharedUsed = redZone;
  epoch++;
  for (int i = 0; i < threadCount; i++) prepare(threads[i]);
  std::vector<int> turn(threadCount);
  for (int i = 0; i < threadCount; i++) turn[i] = i;
  if (order == 1) shuffled(turn);
  const int warps = (threadCount + 31) / 32;
  for (;;) {
    if (order == 2) shuffled(turn);
    bool moved = false;
    for (int i : turn) {
      Thread &t = threads[i];
      if (t.state != State::ready) continue;
      moved = true;
      emu_current = &t;
      emu_switch(&schedulerStack, t.stack);
      emu_current = nullptr;
      if (aborted) return;
    }
    for (int warp = 0; warp < warps; warp++) exchange(warp);
    if (aborted) return;
    int waiting = 0, ended = 0, ready = 0;
    for (int i = 0; i < threadCount; i++) {
      waiting += threads[i].state == State::block;
      ended += threads[i].state == State::ended;
      ready += threads[i].state == State::ready;
    }
    if (ended == threadCount) return;
    if (waiting > 0 && waiting == threadCount) {
      for (int i = 0; i < threadCount; i++) threads[i].state = State::ready;
      epoch++;
      continue;
    }
    if (ready == 0 && !moved) {
      for (int i = 0; i < threadCount; i++) {
        Thread &t = threads[i];
        if (t.state == State::warp) return fail(719, t, "a shuffle or warp barrier waits for lanes that never come to it");
        if (t.state == State::block) return fail(719, t, "a barrier waits for threads that have ended");
      }
    }
  }
}

void checkShared(size_t at, size_t bytes, bool store) {
  Thread &t = *current();
  for (size_t i = at / 4; i < (at + bytes + 3) / 4; i++) {
    SharedWord &b = sharedShadow[i];
    if (!b.usable) return fail(700, t, std::string(store ? "a store" : "a load") + " outside its shared array");
    const uint32_t warpEpoch = warpEpochs[t.index / 32];
    const auto concurrent = [&](int other, uint32_t when, uint32_t warpWhen) {
      return when == epoch && other != t.index && (other / 32 != t.index / 32 || warpWhen == warpEpoch);
    };
    if (b.written == 2)
      return fail(719, t, std::string("shared memory is ") + (store ? "written" : "read") + " while thread " + std::to_string(b.writer) +
                              " has not waited for its copy to it");
    if (store) {
      if (b.written && concurrent(b.writer, b.writeEpoch, b.writeWarpEpoch))
        return fail(719, t, "shared memory is written that thread " + std::to_string(b.writer) + " wrote, with no barrier between");
      if (b.reader >= 0 && concurrent(b.reader, b.readEpoch, b.readWarpEpoch))
        return fail(719, t, "shared memory is written that thread " + std::to_string(b.reader) + " has read, with no barrier between");
      b.written = 1;
      b.writer = int16_t(t.index);
      b.writeEpoch = epoch;
      b.writeWarpEpoch = warpEpoch;
    } else {
      if (!b.written) return fail(700, t, "a load of shared memory that nobody has written");
      if (concurrent(b.writer, b.writeEpoch, b.writeWarpEpoch))
        return fail(719, t, "shared memory is read that thread " + std::to_string(b.writer) + " wrote, with no barrier between");
      b.reader = int16_t(t.index);
      b.readEpoch = epoch;
      b.readWarpEpoch = warpEpoch;
    }
  }
}

inline void check(const void *address, size_t bytes, bool store) {
  const auto *p = static_cast<const uint8_t *>(address);
  if (size_t(p - stacks) < stackBytes * maxThreads || emu_current == nullptr) return;
  if (size_t(p - arena) < arenaBytes) {
    uint8_t *s = shadow + (p - arena);
    if (!store && size_t(p - watchedFrom) < watchedSize) loadedBytes += bytes;
    if ((reinterpret_cast<uintptr_t>(p) & (bytes - 1)) != 0)
      fail(716, *current(), "an access of " + std::to_string(bytes) + " bytes at an address that is no multiple of it");
    uint64_t written = 0x0202020202020202;
    if (bytes == 4 && !store && memcmp(s, &written, 4) == 0) return;
    if (bytes == 16 && !store && memcmp(s, &written, 8) == 0 && memcmp(s + 8, &written, 8) == 0) return;
    for (size_t i = 0; i < bytes; i++) {
      if (s[i] == 0) {
        fail(700, *current(), std::string(store ? "a store of " : "a load of ") + std::to_string(bytes) + " bytes outside any allocation");
        return;
      }
      if (store) s[i] = 2;
      else if (s[i] == 1) {
        fail(700, *current(), "a load of " + std::to_string(bytes) + " bytes of global memory that nobody has written");
        return;
      }
    }
    return;
  }
  if (size_t(p - sharedMemory) < sharedBytes) {
    if ((reinterpret_cast<uintptr_t>(p) & (bytes - 1)) != 0)
      fail(716, *current(), "an access of " + std::to_string(bytes) + " bytes of shared memory at an address that is no multiple of it");
    return checkShared(p - sharedMemory, bytes, store);
  }
  if (reinterpret_cast<uintptr_t>(p) < 65536) fail(700, *current(), "an access through a null pointer");
}

} // namespace

extern "C" {
emu_thread_state *emu_current;
emu_dim3 emu_block_dim, emu_grid_dim;

void emu_syncthreads() {
  current()->state = State::block;
  toScheduler();
}

uint32_t emu_shuffle(uint32_t mask, uint32_t value, int kind, int argument) {
  Thread &t = *current();
  t.value = value;
  waitForWarp(mask, kind, argument);
  return t.result;
}

void emu_syncwarp(uint32_t mask) { emu_shuffle(mask, 0, 0, current()->index & 31); }

const uint32_t *emu_gather(const void *own) {
  Thread &t = *current();
  if (own != nullptr) {
    if (size_t(static_cast<const uint8_t *>(own) - sharedMemory) >= sharedBytes) fail(716, t, "ldmatrix reads what is not shared memory");
    check(own, 16, false);
    memcpy(t.gathered, own, 16);
  }
  waitForWarp(0xffffffffu, gatherKind, 0);
  return gatheredWords[t.index / 32];
}

void emu_mma(bool bf16, const uint32_t *a, const uint32_t *b, const float *c, float *d) {
  current()->fragments = {a, b, c, d};
  waitForWarp(0xffffffffu, mmaKind, bf16);
}

void emu_copy_async(void *to, const void *from, size_t bytes) {
  Thread &t = *current();
  const size_t at = static_cast<uint8_t *>(to) - sharedMemory;
  if (at >= sharedBytes) fail(716, t, "an asynchronous copy to what is not shared memory");
  check(to, 16, true);
  for (size_t i = at / 4; i < at / 4 + 4; i++) sharedShadow[i].written = 2;
  if ((reinterpret_cast<uintptr_t>(from) & 15) != 0) fail(716, t, "an asynchronous copy from an address that is no multiple of 16");
  Copy copy = {at, {}};
  for (size_t i = 0; i < bytes; i++) check(static_cast<const uint8_t *>(from) + i, 1, false);
  memcpy(copy.bytes, from, bytes);
  t.open.push_back(copy);
}

void emu_copy_commit() {
  Thread &t = *current();
  t.groups.push_back(std::move(t.open));
  t.open.clear();
}

void emu_copy_wait(int pending) {
  Thread &t = *current();
  for (; int(t.groups.size()) > pending; t.groups.pop_front()) {
    for (const Copy &copy : t.groups.front()) {
      memcpy(sharedMemory + copy.to, copy.bytes, 16);
      for (size_t i = copy.to / 4; i < copy.to / 4 + 4; i++) {
        SharedWord &b = sharedShadow[i];
        b.written = 1;
        b.writer = int16_t(t.index);
        b.writeEpoch = epoch;
        b.writeWarpEpoch = warpEpochs[t.index / 32];
      }
    }
  }
}

void *emu_shared(const void *site, size_t bytes) {
  for (const auto &array : sharedArrays)
    if (array.site == site) return sharedMemory + array.at;
  const size_t at = (sharedUsed + 15) / 16 * 16;
  sharedUsed = at + bytes + redZone;
  if (sharedUsed > sharedBytes) fail(701, *current(), "too much shared memory");
  memset(sharedShadow + (at - redZone) / 4, 0, ((bytes + 2 * redZone) / 4 + 1) * sizeof(SharedWord));
  for (size_t i = at / 4; i < (at + bytes) / 4; i++) {
    sharedShadow[i].usable = 1;
    sharedShadow[i].reader = -1;
  }
  memset(sharedMemory + at, 0xff, bytes);
  sharedArrays.push_back({site, at, bytes});
  return sharedMemory + at;
}

#define ACCESS(bytes)                                                                   \
  void __asan_load##bytes##_noabort(const void *p) { check(p, bytes, false); }          \
  void __asan_store##bytes##_noabort(const void *p) { check(p, bytes, true); }
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __asan_loadN_noabort(const void *p, size_t bytes) { for (size_t i = 0; i < bytes; i++) check((const char *)p + i, 1, false); }
void __asan_storeN_noabort(const void *p, size_t bytes) { for (size_t i = 0; i < bytes; i++) check((const char *)p + i, 1, true); }
void __asan_handle_no_return() {}
}

// The rest is for the driver.

void emuStart() {
  if (arena != nullptr) return;
  const auto reserve = [](size_t bytes) {
    void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    return static_cast<uint8_t *>(p);
  };
  arena = reserve(arenaBytes);
  shadow = reserve(arenaBytes);
  stacks = reserve(stackBytes * maxThreads);
  for (uint32_t bits = 0; bits < 65536; bits++) {
    const uint16_t half = uint16_t(bits);
    _Float16 value;
    memcpy(&value, &half, 2);
    halfValues[bits] = float(value);
  }
}

uint8_t *emuArena() { return arena; }
size_t emuArenaBytes() { return arenaBytes; }
void emuMark(const void *p, size_t bytes, uint8_t state) {
  if (emuOwns(p)) memset(shadow + ((const uint8_t *)p - arena), state, bytes);
}
void emuCopyMarks(const void *to, const void *from, size_t bytes) {
  memcpy(shadow + ((const uint8_t *)to - arena), shadow + ((const uint8_t *)from - arena), bytes);
}
bool emuOwns(const void *p) { return size_t((const uint8_t *)p - arena) < arenaBytes; }
bool emuAllocated(const void *p, size_t bytes) {
  if (!emuOwns(p)) return false;
  for (size_t i = 0; i < bytes; i++)
    if (shadow[(const uint8_t *)p - arena + i] == 0) return false;
  return true;
}
void emuSetOrder(int value) { order = value; }
void emuWatch(const void *p, size_t bytes) {
  watchedFrom = static_cast<const uint8_t *>(p);
  watchedSize = bytes;
  loadedBytes = 0;
}
uint64_t emuLoaded() { return loadedBytes; }

int emuLaunch(const std::string &name, void (*code)(const void *), const void *parameters, emu_dim3 grid, emu_dim3 block) {
  kernelName = name;
  kernelCode = code;
  kernelParameters = parameters;
  emu_grid_dim = grid;
  emu_block_dim = block;
  threadCount = int(block.x * block.y * block.z);
  aborted = false;
  errorCode = 0;
  const unsigned blocks = grid.x * grid.y * grid.z;
  std::vector<int> turn(blocks);
  for (unsigned i = 0; i < blocks; i++) turn[i] = int(i);
  shuffled(turn);
  for (int b : turn) {
    for (int i = 0; i < threadCount; i++) {
      Thread &t = threads[i];
      t.index = i;
      t.thread = {i % block.x, i / block.x % block.y, i / block.x / block.y};
      t.block = {b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
    }
    runBlock();
    emu_current = nullptr;
    if (aborted) break;
  }
  return errorCode;
}
