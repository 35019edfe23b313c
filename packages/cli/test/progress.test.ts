import type { Progress } from "polyllama";
import { afterEach, expect, test, vi } from "vitest";
import { createHint, createProgress, type Telling } from "../src/progress.ts";

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test.each<[Partial<Progress>, string]>([
  [{}, "packing: 1.5 KiB ...\n"],
  [{ unit: "tokens" }, "packing: 1,536 tokens ...\n"],
  [{ unit: "files" }, "packing: 1,536 files ...\n"],
  [{ unit: "pieces", total: 1 }, "packing: 1 piece ...\n"],
  [{ unit: "steps" }, "packing ...\n"],
])("long work is told in its own unit: %j", (given, expected) => {
  vi.useFakeTimers();
  const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  using progress = createProgress();
  progress.update({ phase: "packing", done: 0, total: 1536, ...given });
  expect(write).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1000);
  expect(write.mock.calls.map(([text]) => text).join("")).toBe(expected);
});

test("with --json nothing is told: no phase, no bar, no hint at what is waited for", () => {
  vi.useFakeTimers();
  const write = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  const tell = (telling: Telling): string => {
    write.mockClear();
    using progress = createProgress(telling);
    using _ = createHint("waiting", telling);
    progress.update({ phase: "packing", done: 0, total: 1536 });
    vi.advanceTimersByTime(60_000);
    return write.mock.calls.map(([text]) => text).join("");
  };
  expect(tell({})).toBe("waiting ...\npacking: 1.5 KiB ...\n");
  expect(tell({ json: false })).toBe("waiting ...\npacking: 1.5 KiB ...\n");
  expect(tell({ json: true })).toBe("");
  const { isTTY } = process.stderr;
  process.stderr.isTTY = true;
  expect(tell({ json: true })).toBe("");
  process.stderr.isTTY = isTTY;
});
