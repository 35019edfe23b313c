// Long computations give way to the event loop between pieces, so that timers, input and aborts are not starved.

/** Waits for one turn of the event loop. @throws the signal's reason, when it was aborted. */
export async function breathe(signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  signal?.throwIfAborted();
}
