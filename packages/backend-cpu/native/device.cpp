// A device: memory, threads, and runs of steps. All functions that the host calls are here.
#include "platform.h"
#include "sets.h"
#include "team.h"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

struct Device;

struct Worker {
  Device* device;
  u64 handle;
  u32 number;
  u8* scratch;
};

constexpr u32 most_threads = 256;

/** What host and library tell each other, at the beginning of arena 0. */
struct Control {
  u32 abort;
  u32 not_finite;
  u32 unread;
};

struct Device {
  const Kernels* kernels;
  u32 threads;
  u64 scratch_bytes;
  u64 run;
  alignas(64) u32 started;  // counts runs
  alignas(64) u32 phase;    // counts steps
  alignas(64) u32 arrived;
  alignas(64) u32 sleepers;
  u32 stopped_phase;  // the phase with which the last run that was aborted ended
  bool closing;
  Arena arenas[arena_count];
  Share shares[most_threads];
  Worker workers[most_threads];
};

static Control* control_of(Device* d) { return (Control*)d->arenas[0].start; }

constexpr u32 spins = 4096;

/** Waits until a number is another one: awake at first, then asleep. */
static void wait_for_change(Device* d, u32* number, u32 value) {
  for (u32 i = 0; i < spins; i++) {
    if (__atomic_load_n(number, __ATOMIC_ACQUIRE) != value) return;
    platform_pause();
  }
  __atomic_fetch_add(&d->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(number, __ATOMIC_SEQ_CST) == value) platform_wait(number, value);
  __atomic_fetch_sub(&d->sleepers, 1, __ATOMIC_SEQ_CST);
}

static void change(Device* d, u32* number) {
  __atomic_fetch_add(number, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&d->sleepers, __ATOMIC_SEQ_CST) != 0) platform_wake(number);
}

/**
 * All threads have come here; false when the run is to end. What is read behind the last step's end must not be the
 * run's: who asked for it may have gone on already, and even begun another one.
 */
static bool next_step(Device* d) {
  const u32 phase = __atomic_load_n(&d->phase, __ATOMIC_ACQUIRE);
  if (__atomic_add_fetch(&d->arrived, 1, __ATOMIC_ACQ_REL) == d->threads) {
    for (u32 i = 0; i < d->threads; i++) d->shares[i].taken = 0;
    __atomic_store_n(&d->arrived, 0, __ATOMIC_RELAXED);
    if (__atomic_load_n(&control_of(d)->abort, __ATOMIC_RELAXED) != 0) {
      __atomic_store_n(&d->stopped_phase, phase + 1, __ATOMIC_RELAXED);
    }
    change(d, &d->phase);
  } else {
    wait_for_change(d, &d->phase, phase);
  }
  return __atomic_load_n(&d->stopped_phase, __ATOMIC_RELAXED) != phase + 1;
}

static void run_steps(Device* d, u32 thread) {
  Context c = {};
  c.arenas = d->arenas;
  c.shares = d->shares;
  c.thread = thread;
  c.threads = d->threads;
  c.scratch = d->workers[thread].scratch;
  c.not_finite = &control_of(d)->not_finite;
  c.unread = &control_of(d)->unread;
  c.run = (const Run*)c.resolve(d->run);
  const u32 count = c.run->stepCount;
  const u8* step = (const u8*)c.resolve(c.run->steps);
  for (u32 i = 0; i < count; i++, step += step_bytes) {
    d->kernels->by_kind[*(const u32*)step](c, step);
    if (!next_step(d)) return;
  }
}

static void* worker_body(void* argument) {
  Worker* worker = (Worker*)argument;
  Device* d = worker->device;
  for (u32 seen = 0;; seen++) {
    wait_for_change(d, &d->started, seen);
    if (d->closing) return nullptr;
    run_steps(d, worker->number);
  }
}

static u32 allocate(Device* d, u32 index, u64 bytes) {
  void* memory = platform_allocate(bytes);
  if (memory == nullptr) return 0;
  d->arenas[index] = {(u8*)memory, bytes};
  return index;
}

/** Of which declarations of structs this was built. */
EXPORT u32 polyllama_structs() { return structs_hash; }

#if !defined(POLYLLAMA_SOURCES)
#define POLYLLAMA_SOURCES "of unknown sources"
#endif
/** Of which sources this was built, by which flags, for which target. */
EXPORT const char* polyllama_sources() { return "polyllama-library:" POLYLLAMA_SOURCES ":"; }

/** Name of the instruction set with this number; null behind the last. */
EXPORT const char* polyllama_set_name(u32 index) { return index < kernel_count ? all_kernels[index]->name : nullptr; }
EXPORT u32 polyllama_set_runs_here(u32 index) { return index < kernel_count && runs_here(index); }

EXPORT void polyllama_close(Device* d) {
  if (d->threads > 1) {
    d->closing = true;
    change(d, &d->started);
    for (u32 i = 1; i < d->threads; i++) platform_join(d->workers[i].handle);
  }
  for (u32 i = 0; i < d->threads; i++) {
    if (d->workers[i].scratch != nullptr) platform_free(d->workers[i].scratch, d->scratch_bytes);
  }
  for (u32 i = 0; i < arena_count; i++) {
    if (d->arenas[i].start != nullptr) platform_free(d->arenas[i].start, d->arenas[i].bytes);
  }
  platform_free(d, sizeof(Device));
}

/** A device; null where memory or threads are short. */
EXPORT Device* polyllama_open(u32 set, u32 threads) {
  if (set >= kernel_count || !runs_here(set) || threads < 1 || threads > most_threads) return nullptr;
  Device* d = (Device*)platform_allocate(sizeof(Device));
  if (d == nullptr) return nullptr;
  d->kernels = all_kernels[set];
  d->scratch_bytes = 4 << 20;
  d->threads = 1;
  allocate(d, 0, 4096);
  bool complete = d->arenas[0].start != nullptr;
  for (u32 i = 0; i < threads && complete; i++) {
    Worker& worker = d->workers[i];
    worker.device = d;
    worker.number = i;
    worker.scratch = (u8*)platform_allocate(d->scratch_bytes);
    complete = worker.scratch != nullptr && (i == 0 || platform_start(&worker.handle, worker_body, &worker));
    if (complete) d->threads = i + 1;
  }
  if (complete) return d;
  polyllama_close(d);
  return nullptr;
}

/** Number of an arena of so many bytes; 0 where memory is short. */
EXPORT u32 polyllama_allocate(Device* d, u64 bytes) {
  for (u32 i = 1; i < arena_count; i++) {
    if (d->arenas[i].start == nullptr) return allocate(d, i, bytes);
  }
  return 0;
}

/**
 * Number of an arena that is a file's first bytes, changed with it where it is writable and else not to be written; 0
 * where the system has no such thing, or refuses it.
 */
EXPORT u32 polyllama_map(Device* d, u32 file, u64 bytes, u32 writable) {
  for (u32 i = 1; i < arena_count; i++) {
    if (d->arenas[i].start != nullptr) continue;
    void* memory = platform_map(file, bytes, writable != 0);
    if (memory == nullptr) return 0;
    d->arenas[i] = {(u8*)memory, bytes};
    return i;
  }
  return 0;
}

EXPORT void* polyllama_address(Device* d, u32 arena) { return d->arenas[arena].start; }

EXPORT void polyllama_free(Device* d, u32 arena) {
  platform_free(d->arenas[arena].start, d->arenas[arena].bytes);
  d->arenas[arena] = {};
}

/** Runs steps; returns when all have ended, or the one under way after the abort flag was set. One call at a time. */
EXPORT void polyllama_run(Device* d, u64 run) {
  if (((const Run*)(d->arenas[run >> 48].start + (run & 0xffffffffffffull)))->stepCount == 0) return;
  d->run = run;
  if (d->threads > 1) change(d, &d->started);
  run_steps(d, 0);
}
