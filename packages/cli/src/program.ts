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
import { addGatt } from "./commands/gatt.ts";
import { addGenerate } from "./commands/generate.ts";
import { addGradients } from "./commands/gradients.ts";
import { addInspect } from "./commands/inspect.ts";
import { addParity } from "./commands/parity.ts";
import { addPull } from "./commands/pull.ts";
import { addSft } from "./commands/sft.ts";
import { addTokenizer } from "./commands/tokenizer.ts";
import { addTrain } from "./commands/train.ts";
import { addVerify } from "./commands/verify.ts";
import { addExamples } from "./examples.ts";
import { Exit, exitCodes, UsageError } from "./exit.ts";
import { createInterrupts, type Interrupts } from "./interrupts.ts";
import { version } from "./version.ts";
import { inOwnWords } from "./words.ts";

/** Runs the program with the given arguments, as they follow its name, and returns its exit code. */
export async function run(args: readonly string[]): Promise<number> {
  using interrupts = createInterrupts();
  const program = createProgram(interrupts);
  let failure: unknown;
  let running: string | undefined;
  program.hook("preAction", (_, command) => {
    running = command.name();
  });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    failure = error;
  }
  await written();
  failure = interrupts.lost ?? failure;
  return failure === undefined ? 0 : report(failure, program.opts()["verbose"] === true, running);
}

/** Waits until what was written is taken or lost, of which the stream tells later. */
async function written(): Promise<void> {
  await new Promise<void>((resolve) => process.stdout.write("", () => setImmediate(resolve)));
}

/** All commands. */
export function createProgram(interrupts: Interrupts): Command {
  const program = new Command("polyllama")
    .description("Llama 2 from one checkpoint, on the backend you choose.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .option("--verbose", "show where an error comes from")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      "after",
      "\nWith --json a command prints one object on standard output, and on standard\n" +
        "error errors and notices alone. Without it, long work is told on standard error:\n" +
        "by a bar on a terminal, elsewhere by a line for each part longer than a second.\n\n" +
        "`polyllama help COMMAND` has the options of a command, `polyllama help exit-codes` what exit codes mean.",
    );
  addGenerate(program, interrupts);
  addChat(program, interrupts);
  addPull(program, interrupts);
  addConvert(program, interrupts);
  addQuantize(program, interrupts);
  addVerify(program, interrupts);
  addTokenizer(program, interrupts);
  addExtendVocab(program, interrupts);
  addTrain(program, interrupts);
  addSft(program, interrupts);
  addGatt(program, interrupts);
  addGradients(program, interrupts);
  addInspect(program, interrupts);
  addDoctor(program, interrupts);
  addBench(program, interrupts);
  addParity(program, interrupts);
  addDemo(program, interrupts);
  addExitCodes(program);
  addExamples(program);
  return program;
}

/** A command that is there for its help: `polyllama help exit-codes`. */
function addExitCodes(program: Command): void {
  const lines = Object.entries(exitCodes).map(([code, about]) => `${code}: ${about}.`);
  program
    .command("exit-codes", { hidden: true })
    .description(["Exit codes of all commands.", ...lines].join("\n\n"))
    .action((_, command: Command) => command.outputHelp());
}

/** Says what went wrong, unless that was said already. */
function report(error: unknown, verbose: boolean, command: string | undefined): number {
  if (error instanceof Exit) return error.code;
  // Commander has printed its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(printable(`error: ${inOwnWords(known, command)}\n`));
  if (verbose) process.stderr.write(printable(`${known.stack ?? ""}\n${describeCause(known)}`));
  return known instanceof UsageError || (known instanceof PolyllamaError && known.code === "ERR_OPTION") ? 2 : 1;
}

function describeCause({ cause }: Error): string {
  return cause instanceof Error ? `caused by ${cause.stack ?? cause.message}\n` : "";
}
