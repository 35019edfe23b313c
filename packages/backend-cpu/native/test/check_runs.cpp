// Checks how steps are run: each unit once, one step after another, to the end or to where a run was aborted, on several
// devices at once, whose host threads abort one another's runs. With fewer and with more units than threads.
//
//   clang++-14 -std=c++17 -O1 -fsanitize=thread test/check_runs.cpp OBJECTS -o runs -lpthread && ./runs SET [RUNS]
#include <atomic>
#include <string>
#include <thread>

#include "device.h"

namespace {

constexpr u32 steps = 120, width = 24, most_rows = 9;
std::atomic<u32> failures{0};

void fail(const std::string& what) {
  if (failures++ < 20) fprintf(stderr, "FAILED %s\n", what.c_str());
}

/** Numbers [steps + 1, rows, width], each step of which adds the last one to the next one, in place. */
class Chain {
 public:
  Chain(u32 set, u32 threads, u32 rows)
      : rows_(rows), threads_(threads), device_(set, threads), numbers_(device_.allocate(4ull * (steps + 1) * rows * width)) {
    for (u32 i = 0; i < steps; i++) {
      const u64 from = numbers_.ref + 4ull * i * rows * width, to = from + 4ull * rows * width;
      device_.add(AddStep{step_add, rows, from, to, to, width, width, width, width});
    }
  }
  /** Steps that were done, all of each; the numbers of others must be as they were. */
  u32 run(float start) {
    for (u32 i = 0; i < (steps + 1) * rows_ * width; i++) numbers_.floats()[i] = i < rows_ * width ? start : 1;
    device_.run();
    u32 done = 0;
    bool ended = false;
    for (u32 i = 1; i <= steps; i++) {
      const float* row = numbers_.floats() + i * rows_ * width;
      ended = ended || row[0] == 1;
      const float want = ended ? 1 : start + (float)i;
      for (u32 k = 0; k < rows_ * width; k++) {
        if (row[k] == want) continue;
        fail(std::to_string(threads_) + " threads, " + std::to_string(rows_) + " units: " + std::to_string(row[k]) +
             " instead of " + std::to_string(want) + " behind step " + std::to_string(i));
        return steps;
      }
      done += !ended;
    }
    return done;
  }
  void set_abort(u32 value) { device_.set_abort(value); }

 private:
  u32 rows_, threads_;
  Steps device_;
  Memory numbers_;
};

/** A host's thread: runs, some of which another thread aborts, or which begin when the flag is set already. */
void host(u32 set, u32 threads, u32 rows, u32 runs) {
  const std::string name = std::to_string(threads) + " threads, " + std::to_string(rows) + " units";
  Chain chain(set, threads, rows);
  std::atomic<u32> turn{0}, answered{0};
  std::thread other([&] {
    for (u32 i = 1; i <= runs; i++) {
      while (turn.load() < i) std::this_thread::yield();
      if (i % 3 != 1) continue;
      for (u32 k = 0; k < i * 7 % 50; k++) std::this_thread::yield();
      chain.set_abort(1);
      answered.store(i);
    }
  });
  u32 aborted = 0;
  for (u32 i = 1; i <= runs; i++) {
    chain.set_abort(i % 3 == 2);
    turn.store(i);
    const u32 done = chain.run(2 + (float)(i % 5));
    if (i % 3 == 1) {
      aborted += done < steps;
      while (answered.load() < i) std::this_thread::yield();
      continue;
    }
    if (i % 3 == 2 && done != 1) fail(name + ": " + std::to_string(done) + " steps of a run that was to end behind the first");
    if (i % 3 == 0 && done != steps) fail(name + ": a run ended after " + std::to_string(done) + " steps");
  }
  other.join();
  printf("%s: %u runs, %u aborted in the middle\n", name.c_str(), runs, aborted);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return fprintf(stderr, "usage: runs SET [RUNS]\n"), 2;
  const u32 runs = count > 2 ? (u32)atoi(arguments[2]) : 120;
  u32 set = 0;
  while (polyllama_set_name(set) != nullptr && strcmp(polyllama_set_name(set), arguments[1]) != 0) set++;
  if (polyllama_set_name(set) == nullptr) return fprintf(stderr, "no such set\n"), 2;
  for (u32 threads : {1u, 2u, 3u}) {
    for (u32 rows : {1u, 2u, most_rows}) host(set, threads, rows, runs);
  }
  // Devices at once, each of its own threads; opened and closed while the others run.
  std::thread hosts[] = {std::thread(host, set, 2, 1, runs), std::thread(host, set, 3, most_rows, runs),
                         std::thread([&] { for (u32 i = 0; i < 5; i++) host(set, 2, 2, runs / 5); })};
  for (std::thread& each : hosts) each.join();
  if (failures > 0) fprintf(stderr, "%u failures\n", failures.load());
  return failures > 0;
}
