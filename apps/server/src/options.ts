// What the program is started with. What is wrong is told in a line, with exit code 2, before anything is loaded.

import { parseArgs } from "node:util";
import { poet } from "@polyllama/model-poet";
import type { AppOptions } from "./app.ts";

export interface Options extends AppOptions {
  readonly backend: string;
  readonly model: string;
  readonly port: number;
}

/** What ends the program: to standard output where the code is 0, otherwise to standard error. */
export interface Ending {
  readonly text: string;
  readonly code: number;
}

export function readOptions(args: readonly string[], backends: readonly string[]): Options | Ending {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return wrong(error instanceof Error ? error.message.split(". ")[0]! : String(error));
  }
  const { help, backend, model, host, cors } = values;
  if (help) return { text: usage(backends), code: 0 };
  if (!backends.includes(backend)) return wrong(`--backend is one of ${backends.join(", ")}, not ${backend}`);
  const parallel = whole(values.parallel);
  if (!(parallel > 0)) return wrong("--parallel is a number of sequences, at least 1");
  const port = whole(values.port);
  if (!(port <= 65_535)) return wrong("--port is a number from 0 (any that is free) to 65535");
  if (cors !== undefined && cors !== "*" && !(URL.canParse(cors) && new URL(cors).origin === cors))
    return wrong("--cors is an origin such as http://localhost:5173, without a path, or * for any");
  return { backend, model, parallel, host, port, ...(cors !== undefined && { cors }) };
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      backend: { type: "string", default: "cpu" },
      model: { type: "string", default: poet },
      parallel: { type: "string", default: "4" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8080" },
      cors: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  }).values;

const whole = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN);

const wrong = (reason: string): Ending => ({ text: `error: ${reason}; --help lists the options\n`, code: 2 });

const usage = (backends: readonly string[]): string => `usage: server [options]

Answers prompts and chats over HTTP: POST to /generate, or GET /health.

  --backend NAME   ${backends.join(", ")} (default: cpu)
  --model MODEL    a file or folder (default: the embedded model)
  --parallel N     how many requests are answered at once (default: 4)
  --host HOST      the address to listen on (default: 127.0.0.1)
  --port PORT      0 is any that is free (default: 8080)
  --cors ORIGIN    the origin whose pages may ask, or * for any (default: none)
  -h, --help       print this help
`;
