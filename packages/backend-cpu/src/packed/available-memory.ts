// How much memory a process can have before the system has to take some from others, or ends it.

import { readFileSync } from "node:fs";

/** Bytes; infinity where the system does not say (elsewhere than on Linux). */
export function availableMemory(): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo"))?.[1];
  const ofSystem = kilobytes === undefined ? Number.POSITIVE_INFINITY : 1024 * Number(kilobytes);
  return Math.min(ofSystem, ofControlGroup());
}

/** What the group's limit leaves (cgroup v2): pages of files count as free, since they are dropped for it. */
function ofControlGroup(): number {
  const path = /^0::(.*)$/m.exec(read("/proc/self/cgroup"))?.[1];
  if (path === undefined) return Number.POSITIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  // A container sees its own group as the root, whatever its path says.
  for (let at = path === "/" ? "" : path; ; at = at.slice(0, at.lastIndexOf("/"))) {
    const folder = `/sys/fs/cgroup${at}`;
    const [limit, used] = [
      Number.parseInt(read(`${folder}/memory.max`), 10),
      Number.parseInt(read(`${folder}/memory.current`), 10),
    ];
    const files = Number(/^file (\d+)/m.exec(read(`${folder}/memory.stat`))?.[1] ?? 0);
    if (Number.isFinite(limit) && Number.isFinite(used)) least = Math.min(least, Math.max(0, limit - used + files));
    if (at === "") return least;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
