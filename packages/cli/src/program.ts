// The command line as a whole: commands, help, and how errors end the program.

import { printable } from "@polyllama/core";
import { Command, CommanderError } from "commander";
import { PolyllamaError } from "polyllama";
import { addBench } from "./commands/bench.ts";
import { addChat } from "./commands/chat.ts";
import { addConvert, addQuantize } from "./commands/convert.ts";
import { addDemo } from "./commands/demo.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addExtendVocab } from "./commands/extend-vocab.ts";
import { addGenerate } from "./commands/generate.ts";
import { addGpuCheck } from "./commands/gpu-check.ts";
import { addInspect } from "./commands/inspect.ts";
import { addParity } from "./commands/parity.ts";
import { addPull } from "./commands/pull.ts";
import { addTokenizer } from "./commands/tokenizer.ts";
import { addVerify } from "./commands/verify.ts";
import { Exit, UsageError } from "./exit.ts";
import { createInterrupts, type Interrupts } from "./interrupts.ts";
import { version } from "./version.ts";

/** Runs the program with the given arguments, as they follow its name, and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  using interrupts = createInterrupts();
  const program = createProgram(interrupts);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error, program.opts()["verbose"] === true);
  }
}

function createProgram(interrupts: Interrupts): Command {
  const program = new Command("polyllama")
    .description("Llama 2 from one checkpoint, on the backend you choose.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .option("--verbose", "show where an error comes from")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true });
  addGenerate(program, interrupts);
  addChat(program, interrupts);
  addPull(program, interrupts);
  addConvert(program, interrupts);
  addQuantize(program, interrupts);
  addVerify(program, interrupts);
  addTokenizer(program, interrupts);
  addExtendVocab(program, interrupts);
  addInspect(program, interrupts);
  addDoctor(program, interrupts);
  addBench(program, interrupts);
  addParity(program, interrupts);
  addGpuCheck(program, interrupts);
  addDemo(program, interrupts);
  return program;
}

/** Says what went wrong, unless that was said already. */
function report(error: unknown, verbose: boolean): number {
  if (error instanceof Exit) return error.code;
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(printable(`error: ${inOwnWords(known)}\n`));
  if (verbose) process.stderr.write(printable(`${known.stack ?? ""}\n${describeCause(known)}`));
  return known instanceof UsageError || (known instanceof PolyllamaError && known.code === "ERR_OPTION") ? 2 : 1;
}

/** The message, with the ways out that the command line has instead of the library's. */
function inOwnWords(error: Error): string {
  // By its name, as the cpu backend is not loaded for the sake of an error of another one.
  if (error.name !== "PackedWeightsError" || !("problem" in error) || !("bytes" in error)) return error.message;
  return (
    `${error.problem} Free space there, or give --cache-folder a folder that can be written and has ${error.bytes} bytes free; ` +
    "--no-cache packs into the system's temporary folder each time, which TMPDIR (on Windows TEMP) names."
  );
}

function describeCause({ cause }: Error): string {
  return cause instanceof Error ? `caused by ${cause.stack ?? cause.message}\n` : "";
}
