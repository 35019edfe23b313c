// How many threads compute by default, by what the system says.

import { expect, test } from "vitest";
import { defaultThreads, threadsFor } from "../src/native/threads.ts";

/** A system with these files. */
function system(files: Readonly<Record<string, string>>): (path: string) => string | undefined {
  return (path) => files[path];
}

const status = (allowed: string) => ({ "/proc/self/status": `Name:\tnode\nCpus_allowed_list:\t${allowed}\n` });
/** Processors n and n + 4 are halves of one core. */
const halves = Object.fromEntries(
  Array.from({ length: 8 }, (_, n) => [
    `/sys/devices/system/cpu/cpu${n}/topology/thread_siblings_list`,
    `${n % 4},${(n % 4) + 4}\n`,
  ]),
);

test.each<[what: string, available: number, files: Readonly<Record<string, string>>, threads: number]>([
  ["no system files", 6, {}, 6],
  ["no topology", 4, status("0-3"), 4],
  ["one for each core", 8, { ...status("0-7"), ...halves }, 4],
  ["both halves of one core and half of another", 3, { ...status("0-1,4"), ...halves }, 2],
  ["fewer than cores are available", 2, { ...status("0-7"), ...halves }, 2],
  [
    "a quota of two and a half processors",
    8,
    { ...status("0-7"), "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "250000 100000\n" },
    3,
  ],
  [
    "the least quota of the groups it is in",
    8,
    {
      ...status("0-7"),
      "/proc/self/cgroup": "0::/a/b\n",
      "/sys/fs/cgroup/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/a/cpu.max": "100000 100000\n",
      "/sys/fs/cgroup/a/b/cpu.max": "600000 100000\n",
    },
    1,
  ],
  [
    "groups of the first version, of which -1 is no quota",
    8,
    {
      ...status("0-7"),
      "/proc/self/cgroup": "5:cpu,cpuacct:/x\n3:memory:/y\n",
      "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    },
    2,
  ],
  [
    "a tenth of a processor",
    8,
    { ...status("0-7"), "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "10000 100000\n" },
    1,
  ],
])("%s", (_what, available, files, threads) => {
  expect(threadsFor(available, system(files))).toBe(threads);
});

test("here there is at least one", () => {
  expect(defaultThreads()).toBeGreaterThanOrEqual(1);
});
