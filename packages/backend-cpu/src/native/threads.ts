// How many threads compute by default: one for each physical core that this process may use, as two threads on the
// halves of one core only take turns; not more than the container's quota of time.

import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** The number of threads of a device when nobody says how many. */
export function defaultThreads(): number {
  return threadsFor(availableParallelism(), (path) => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  });
}

/** @param available processors within the affinity mask @param read a file of the system, undefined where there is none */
export function threadsFor(available: number, read: (path: string) => string | undefined): number {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  const processors = allowed === undefined ? [] : processorList(allowed);
  const cores = new Set(
    processors.map(
      (processor) =>
        read(`/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`)?.trim() ?? String(processor),
    ),
  );
  const physical = cores.size > 0 ? Math.min(available, cores.size) : available;
  return Math.max(1, Math.min(physical, Math.ceil(quota(read) ?? physical)));
}

/** "0-3,8" as numbers. */
function processorList(text: string): readonly number[] {
  return text.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Processors whose whole time the container may use, the least of the groups that it is in; undefined without a limit. */
function quota(read: (path: string) => string | undefined): number | undefined {
  const limits: number[] = [];
  const groups = [...(read("/proc/self/cgroup") ?? "").matchAll(/^\d+:([^:]*):(\/.*)$/gm)];
  const add = (limit: string | undefined, period: string | undefined): void => {
    const value = Number(limit) / Number(period);
    if (Number.isFinite(value) && value > 0) limits.push(value);
  };
  for (const [, controllers = "", path = "/"] of groups) {
    if (controllers !== "" && !controllers.split(",").includes("cpu")) continue;
    const parts = path.split("/").filter((part) => part !== "");
    for (let length = parts.length; length >= 0; length--) {
      const group = parts
        .slice(0, length)
        .map((part) => `/${part}`)
        .join("");
      if (controllers === "") {
        const [limit, period] = (read(`/sys/fs/cgroup${group}/cpu.max`) ?? "").trim().split(" ");
        add(limit, period);
      } else {
        const folder = `/sys/fs/cgroup/${controllers}${group}`;
        add(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`));
      }
    }
  }
  return limits.length > 0 ? Math.min(...limits) : undefined;
}
