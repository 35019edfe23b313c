import { type FormatName, formatBytes } from "@polyllama/core";
import { formats } from "@polyllama/formats";
import { expect, test } from "vitest";
import { packedWords } from "../src/pack.ts";

/**
 * Bytes of a block that are more than in its file: some are rounded up to words; sums of quants, which kernels do not
 * need, are left out.
 */
const more: Partial<Record<FormatName, number>> = { q3_k: 2, q6_k: 2, q8_k: -32 };

test.each(Object.keys(formats) as FormatName[])(
  "%s takes as many bytes as in its file, but for what is rounded or left out",
  (format) => {
    const { quants, scales, high } = packedWords(format, 4, 256);
    expect(4 * (quants + scales + high)).toBe(formatBytes(format, 4 * 256) + 4 * (more[format] ?? 0));
  },
);
