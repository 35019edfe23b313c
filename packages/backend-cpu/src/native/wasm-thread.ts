// What a worker does that is a thread of the engine in WebAssembly: it makes an instance over the memory that all share,
// with a stack of its own. The first thread then runs what it is told and answers; the others stay in the library.

/** The first message of a thread tells where it stands; later ones, what to run. */
export type ThreadMessage =
  | {
      readonly module: WebAssembly.Module;
      readonly memory: WebAssembly.Memory;
      /** The top of its stack. */
      readonly stack: number;
      readonly device: number;
      /** What a thread other than the first has to call. */
      readonly work: { readonly body: number; readonly argument: number } | undefined;
    }
  | { readonly run: bigint };

interface ThreadFunctions {
  readonly __stack_pointer: WebAssembly.Global;
  polyllama_run(device: number, run: bigint): void;
  polyllama_thread(body: number, argument: number): void;
}

/**
 * Receives messages, in their order, and calls `answer` after each. It stands by itself, as Node's workers get its text.
 */
export function serveThread(answer: () => void): (message: ThreadMessage) => void {
  let device = 0;
  let functions: ThreadFunctions | undefined;
  return (message) => {
    if ("run" in message) {
      functions?.polyllama_run(device, message.run);
    } else {
      const imports = { env: { memory: message.memory }, polyllama: { start: () => undefined } };
      // by the library's exports; not asynchronous, so that messages keep their order
      functions = new WebAssembly.Instance(message.module, imports).exports as unknown as ThreadFunctions;
      functions.__stack_pointer.value = message.stack;
      device = message.device;
      if (message.work !== undefined) functions.polyllama_thread(message.work.body, message.work.argument);
    }
    answer();
  };
}
