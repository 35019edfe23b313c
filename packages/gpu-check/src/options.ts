// The command line of the check.

import { parseArgs } from "node:util";

export const sections = ["card", "conformance", "sanitizer", "bench"] as const;
export type Section = (typeof sections)[number];

export interface GpuCheckOptions {
  readonly only: readonly Section[];
  readonly minutes: number;
  /** The report's path without its endings. */
  readonly output: string;
  readonly device: number;
  readonly seed: number;
  readonly webgpu: boolean;
  /** Location of the one model whose speed is measured; default: the published sizes. */
  readonly model?: string;
}

/** The command line asks for something that does not exist or does not fit together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Exit code where there is no card: neither a pass nor a failure. */
export const notRunCode = 3;

export const help: string = `usage: npm run gpu-check -- [options]

Checks an NVIDIA card: conformance of the cuda backend, and of webgpu where there is an adapter, against the reference;
compute-sanitizer where it is installed; speed beside the card's own copies and PyTorch. Writes PATH.json and PATH.md. Ends
with 0 when all that was run is right, 1 when something is wrong, and ${notRunCode} when there is no card.

  --only PARTS      parts to run (default: ${sections.join(",")})
  --minutes N       most time to take (default: 8)
  --output PATH     report, without .json and .md (default: gpu-check)
  --device N        number of the card (default: 0)
  --seed N          seed of the conformance cases (default: 1)
  --no-webgpu       leave the webgpu backend out
  --model LOCATION  measure this model's speed instead of the published sizes': a file, or synthetic://...
  --help            print this help
`;

/** What is asked for; undefined for help. @throws {UsageError} */
export function readOptions(args: readonly string[]): GpuCheckOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const only = (values.only ?? sections.join(",")).split(",").map((name) => {
    const known = sections.find((own) => own === name.trim());
    if (known === undefined) throw new UsageError(`there is no part "${name}"; there are ${sections.join(", ")}`);
    return known;
  });
  if (values.model !== undefined && !only.includes("bench")) {
    throw new UsageError("--model needs bench among --only's parts");
  }
  return {
    only,
    minutes: integer("minutes", values.minutes ?? "8", 1),
    output: values.output ?? "gpu-check",
    device: integer("device", values.device ?? "0", 0),
    seed: integer("seed", values.seed ?? "1", 0),
    webgpu: values.webgpu ?? true,
    ...(values.model !== undefined && { model: values.model }),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        ...{ only: text, minutes: text, output: text, device: text, seed: text, model: text },
        webgpu: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} must be an integer of at least ${least}`);
}
