// A libcuda for machines without a card: the driver calls that the backend makes, on the emulation. As on a card, work is queued
// and runs later (here when somebody waits or asks an event twice), parameters are copied at the launch and host memory is read
// when the copy runs; errors of kernels come back from later calls and stay. Tests set up the card and its failures and read the log
// of calls through the emu_ functions at the end.
#include "runtime.h"

#include <atomic>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>

namespace {

using Operation = std::function<int()>;
using Kernel = void (*)(const void *);

struct Module { std::string name; void *library; };
struct Function { std::string name; Kernel code; unsigned bytes; };
struct Graph { std::vector<Operation> operations; };
struct Event { bool asked = false; };

struct Card { int driver = 13000, count = 1, major = 9, minor = 0; size_t memory = size_t(16) << 30; } card;

std::string folder, callLog, reports, lastName;
bool logging;
int sticky;
size_t used, cursor;
std::map<uint64_t, size_t> allocations;
std::map<void *, size_t> pinned;
std::vector<Operation> queue;
Graph *capturing;
int liveModules, liveStreams, liveEvents, liveGraphs, liveContexts;

struct Injection { std::string function; int after, code; };
std::vector<Injection> injections;
/// One call may wait for an event while others are made.
std::mutex entering;
/// How many questions after events are answered with "not ready", until somebody waits.
std::atomic<int> busy;

/// Every call begins here: it is logged, and fails if it was told to.
int enter(const char *name, const std::string &detail = "") {
  const std::lock_guard<std::mutex> lock(entering);
  if (logging) callLog += std::string(name) + (detail.empty() ? "" : " " + detail) + "\n";
  for (auto it = injections.begin(); it != injections.end(); ++it) {
    if (it->function != name || it->after-- > 0) continue;
    const int code = it->code;
    injections.erase(it);
    if (code == 700 || code == 719 || code == 214) sticky = code;
    return code;
  }
  return sticky;
}

#define ENTER(...) \
  if (const int code = enter(__VA_ARGS__)) return code

int drain() {
  for (size_t i = 0; i < queue.size() && sticky == 0; i++) {
    if (const int code = queue[i]()) sticky = code;
  }
  queue.clear();
  return sticky;
}

int submit(Operation operation) {
  (capturing ? capturing->operations : queue).push_back(std::move(operation));
  return 0;
}

bool hostReadable(const void *p, size_t bytes) {
  for (const auto &[start, size] : pinned)
    if (p >= start && (const char *)p + bytes <= (const char *)start + size) return true;
  return false;
}

std::string number(size_t value) { return std::to_string(value); }

/// The kernel's name that each image carries: "polyllama-kernel:NAME:".
std::string nameOf(const char *image) {
  size_t size = 0;
  if (memcmp(image, "\x7f" "ELF", 4) == 0) {
    uint64_t sections;
    uint16_t entry, count;
    memcpy(&sections, image + 40, 8);
    memcpy(&entry, image + 58, 2);
    memcpy(&count, image + 60, 2);
    size = sections + size_t(entry) * count;
    for (int i = 0; i < count; i++) {
      uint64_t at, bytes;
      uint32_t type;
      memcpy(&type, image + sections + size_t(i) * entry + 4, 4);
      memcpy(&at, image + sections + size_t(i) * entry + 24, 8);
      memcpy(&bytes, image + sections + size_t(i) * entry + 32, 8);
      if (type != 8) size = std::max<size_t>(size, at + bytes);
    }
  } else {
    size = strlen(image);
  }
  static const std::string mark = "polyllama-kernel:";
  const char *end = image + size;
  const char *found = std::search(image, end, mark.begin(), mark.end());
  if (found == end) return "";
  found += mark.size();
  return std::string(found, std::find(found, end, ':'));
}

} // namespace

void emuReport(const std::string &text) { reports += text + "\n"; }

#define API extern "C" __attribute__((visibility("default"))) int

API cuInit(unsigned) { ENTER("cuInit"); return card.count == 0 ? 100 : 0; }
API cuDriverGetVersion(int *version) { ENTER("cuDriverGetVersion"); *version = card.driver; return 0; }
API cuDeviceGetCount(int *count) { ENTER("cuDeviceGetCount"); *count = card.count; return 0; }
API cuDeviceGet(int *device, int ordinal) { ENTER("cuDeviceGet"); *device = ordinal; return ordinal < card.count ? 0 : 101; }
API cuDeviceGetName(char *name, int length, int) { ENTER("cuDeviceGetName"); snprintf(name, length, "Emulated card"); return 0; }
API cuDeviceTotalMem_v2(size_t *bytes, int) { ENTER("cuDeviceTotalMem"); *bytes = card.memory; return 0; }
API cuDeviceGetAttribute(int *value, int attribute, int) {
  ENTER("cuDeviceGetAttribute");
  switch (attribute) {
    case 16: *value = 4; return 0;              // multiprocessors
    case 75: *value = card.major; return 0;
    case 76: *value = card.minor; return 0;
    default: return 1;
  }
}
API cuDevicePrimaryCtxRetain(uint64_t *context, int) {
  ENTER("cuDevicePrimaryCtxRetain");
  emuStart();
  liveContexts++;
  *context = 0x1000;
  return 0;
}
API cuDevicePrimaryCtxRelease_v2(int) { liveContexts--; enter("cuDevicePrimaryCtxRelease"); return 0; }
API cuCtxSetCurrent(uint64_t) { ENTER("cuCtxSetCurrent"); return 0; }
API cuMemGetInfo_v2(size_t *free, size_t *total) { ENTER("cuMemGetInfo"); *free = card.memory - used; *total = card.memory; return 0; }

API cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  ENTER("cuMemAlloc", number(bytes));
  if (capturing) return 900;
  if (bytes == 0) return 1;
  if (used + bytes > card.memory) return 2;
  // Addresses are not used twice, so that what was freed is found out; a gap of a page lies between.
  const size_t at = (cursor + 255) / 256 * 256;
  if (at + bytes + 4096 > emuArenaBytes()) return 2;
  cursor = at + bytes + 4096;
  uint8_t *p = emuArena() + at;
  emuMark(p, bytes, 1);
  used += bytes;
  allocations[(uint64_t)p] = bytes;
  *address = (uint64_t)p;
  return 0;
}
API cuMemFree_v2(uint64_t address) {
  drain();
  const int code = enter("cuMemFree");
  const auto found = allocations.find(address);
  if (found == allocations.end()) return 1;
  emuMark((void *)address, found->second, 0);
  used -= found->second;
  allocations.erase(found);
  return code;
}
API cuMemAllocHost_v2(void **address, size_t bytes) {
  ENTER("cuMemAllocHost", number(bytes));
  *address = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  pinned[*address] = bytes;
  return 0;
}
API cuMemFreeHost(void *address) {
  drain();
  enter("cuMemFreeHost");
  if (pinned.erase(address) == 0) return 1;
  free(address);
  return 0;
}
API cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, uint64_t) {
  ENTER("cuMemcpyHtoDAsync", number(bytes));
  if (!hostReadable(from, bytes)) { emuReport("cuMemcpyHtoDAsync: host memory that is not pinned"); return 1; }
  if (!emuAllocated((void *)to, bytes)) { emuReport("cuMemcpyHtoDAsync: outside any allocation"); return 1; }
  return submit([=] { memcpy((void *)to, from, bytes); emuMark((void *)to, bytes, 2); return 0; });
}
API cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, uint64_t) {
  ENTER("cuMemcpyDtoHAsync", number(bytes));
  if (!hostReadable(to, bytes)) { emuReport("cuMemcpyDtoHAsync: host memory that is not pinned"); return 1; }
  if (!emuAllocated((void *)from, bytes)) { emuReport("cuMemcpyDtoHAsync: outside any allocation"); return 1; }
  return submit([=] { memcpy(to, (void *)from, bytes); return 0; });
}
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, uint64_t) {
  ENTER("cuMemcpyDtoDAsync", number(bytes));
  if (!emuAllocated((void *)to, bytes) || !emuAllocated((void *)from, bytes)) { emuReport("cuMemcpyDtoDAsync: outside any allocation"); return 1; }
  return submit([=] { memcpy((void *)to, (void *)from, bytes); emuCopyMarks((void *)to, (void *)from, bytes); return 0; });
}
API cuStreamCreate(uint64_t *stream, unsigned) { ENTER("cuStreamCreate"); liveStreams++; *stream = 0x2000 + liveStreams; return 0; }
API cuStreamDestroy_v2(uint64_t) { drain(); liveStreams--; enter("cuStreamDestroy"); return 0; }
API cuStreamSynchronize(uint64_t) { ENTER("cuStreamSynchronize"); return drain(); }
API cuEventCreate(uint64_t *event, unsigned) { ENTER("cuEventCreate"); liveEvents++; *event = (uint64_t) new Event; return 0; }
API cuEventDestroy_v2(uint64_t event) { enter("cuEventDestroy"); liveEvents--; delete (Event *)event; return 0; }
API cuEventRecord(uint64_t event, uint64_t) { ENTER("cuEventRecord"); ((Event *)event)->asked = false; return 0; }
API cuEventQuery(uint64_t event) {
  ENTER("cuEventQuery");
  if (busy > 0) { busy--; return 600; }
  if (queue.empty()) return 0;
  if (!((Event *)event)->asked) { ((Event *)event)->asked = true; return 600; }
  return drain();
}
API cuEventSynchronize(uint64_t) { ENTER("cuEventSynchronize"); busy = 0; return 0; }
API cuModuleLoadData(uint64_t *module, const char *image) {
  const bool elf = memcmp(image, "\x7f" "ELF", 4) == 0;
  const std::string name = nameOf(image);
  std::string kind = "cubin";
  int version = 0, architecture = 0;
  if (!elf) {
    int major = 0, minor = 0;
    if (const char *at = strstr(image, ".version ")) sscanf(at, ".version %d.%d", &major, &minor);
    if (const char *at = strstr(image, ".target sm_")) sscanf(at, ".target sm_%d", &architecture);
    version = major * 10 + minor;
    kind = "ptx " + std::to_string(major) + "." + std::to_string(minor) + " sm_" + std::to_string(architecture);
  }
  ENTER("cuModuleLoadData", kind + " " + name);
  const int own = card.major * 10 + card.minor;
  // ISA 7.8 came with CUDA 11.8, 8.0 with 12.0 and 9.0 with 13.0.
  const int isa = card.driver >= 13000 ? 90 : card.driver >= 12000 ? 80 + (card.driver - 12000) / 10 : 78;
  if (!elf && version > isa) return 222;
  if (!elf && architecture > own) return 209;
  if (elf && card.driver < 13000) return 200;
  void *library = dlopen((folder + "/" + name + ".so").c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) { emuReport(std::string("no such kernel: ") + dlerror()); return 200; }
  liveModules++;
  *module = (uint64_t) new Module{name, library};
  return 0;
}
API cuModuleUnload(uint64_t module) {
  drain();
  enter("cuModuleUnload");
  liveModules--;
  dlclose(((Module *)module)->library);
  delete (Module *)module;
  return 0;
}
API cuModuleGetFunction(uint64_t *function, uint64_t module, const char *name) {
  ENTER("cuModuleGetFunction", name);
  auto *code = (Kernel)dlsym(((Module *)module)->library, name);
  auto *bytes = (const unsigned *)dlsym(((Module *)module)->library, (std::string(name) + "_bytes").c_str());
  if (code == nullptr || bytes == nullptr) return 500;
  *function = (uint64_t) new Function{name, code, *bytes};
  return 0;
}
API cuLaunchKernel(uint64_t function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                   uint64_t, void **parameters, void **) {
  const Function f = *(Function *)function;
  ENTER("cuLaunchKernel", f.name);
  if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz > 1024) return 1;
  std::vector<char> copy((char *)parameters[0], (char *)parameters[0] + f.bytes);
  return submit([=] { return emuLaunch(f.name, f.code, copy.data(), {gx, gy, gz}, {bx, by, bz}); });
}
API cuStreamBeginCapture_v2(uint64_t, int) { ENTER("cuStreamBeginCapture"); capturing = new Graph; return 0; }
API cuStreamEndCapture(uint64_t, uint64_t *graph) {
  *graph = (uint64_t)capturing;
  capturing = nullptr;
  ENTER("cuStreamEndCapture");
  liveGraphs++;
  return 0;
}
API cuGraphInstantiateWithFlags(uint64_t *exec, uint64_t graph, unsigned long long) {
  ENTER("cuGraphInstantiate");
  liveGraphs++;
  *exec = (uint64_t) new Graph(*(Graph *)graph);
  return 0;
}
API cuGraphLaunch(uint64_t exec, uint64_t) {
  ENTER("cuGraphLaunch");
  for (const auto &operation : ((Graph *)exec)->operations) queue.push_back(operation);
  return 0;
}
API cuGraphDestroy(uint64_t graph) { enter("cuGraphDestroy"); liveGraphs--; delete (Graph *)graph; return 0; }
API cuGraphExecDestroy(uint64_t graph) { enter("cuGraphExecDestroy"); liveGraphs--; delete (Graph *)graph; return 0; }
API cuGetErrorName(int code, const char **name) {
  switch (code) {
    case 1: *name = "CUDA_ERROR_INVALID_VALUE"; return 0;
    case 2: *name = "CUDA_ERROR_OUT_OF_MEMORY"; return 0;
    case 100: *name = "CUDA_ERROR_NO_DEVICE"; return 0;
    case 200: *name = "CUDA_ERROR_INVALID_IMAGE"; return 0;
    case 209: *name = "CUDA_ERROR_NO_BINARY_FOR_GPU"; return 0;
    case 214: *name = "CUDA_ERROR_ECC_UNCORRECTABLE"; return 0;
    case 222: *name = "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"; return 0;
    case 700: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; return 0;
    case 716: *name = "CUDA_ERROR_MISALIGNED_ADDRESS"; return 0;
    case 719: *name = "CUDA_ERROR_LAUNCH_FAILED"; return 0;
    default: *name = nullptr; return 1;
  }
}

// For tests.

API emu_reset(const char *kernels) {
  folder = kernels;
  card = Card();
  callLog.clear();
  reports.clear();
  logging = false;
  injections.clear();
  queue.clear();
  delete capturing;
  capturing = nullptr;
  sticky = 0;
  busy = 0;
  emuSetOrder(0);
  emuWatch(nullptr, 0);
  return 0;
}
API emu_card(int driver, int count, int major, int minor, size_t memory) { card = {driver, count, major, minor, memory}; return 0; }
API emu_order(int order) { emuSetOrder(order); return 0; }
API emu_fail(const char *function, int after, int code) { injections.push_back({function, after, code}); return 0; }
API emu_busy(int questions) { busy = questions; return 0; }
API emu_watch(uint64_t address, size_t bytes) { emuWatch((const void *)address, bytes); return 0; }
extern "C" __attribute__((visibility("default"))) double emu_loaded() { return double(emuLoaded()); }
API emu_live() { return int(allocations.size() + pinned.size()) + liveModules + liveStreams + liveEvents + liveGraphs + liveContexts; }
extern "C" __attribute__((visibility("default"))) const char *emu_log() {
  lastName = callLog;
  callLog.clear();
  logging = true;
  return lastName.c_str();
}
extern "C" __attribute__((visibility("default"))) const char *emu_reports() { return reports.c_str(); }
