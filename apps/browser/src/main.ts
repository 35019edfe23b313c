// A page that continues a text, with the embedded model or one of the user's own, in a worker. Everything is the public
// API; the rest is the page. `?model=URL` names another model, `?backend=cpu` computes on the processor, and
// `?limits=default` is handed to the worker.

import { type ModelInfo, WorkerLlama } from "polyllama/worker";

// index.html has it
const element = <Type extends Element>(selector: string): Type => document.querySelector<Type>(selector)!;
const form = element<HTMLFormElement>("form");
const { prompt, write, stop, files, backend, speed } = form.elements as unknown as {
  readonly prompt: HTMLTextAreaElement;
  readonly write: HTMLButtonElement;
  readonly stop: HTMLButtonElement;
  readonly files: HTMLInputElement;
  readonly backend: HTMLSelectElement;
  readonly speed: HTMLOutputElement;
}; // by their names in index.html
const bar = element<HTMLProgressElement>("progress");
const text = element<HTMLElement>("#text");
const error = element<HTMLElement>("#error");

const query = new URL(location.href).searchParams;
// Vite serves the files of @polyllama/model-poet beside this page (vite.config.ts).
const embedded = new URL("./", document.baseURI).href;
const model = query.get("model") ?? embedded;
const worker = new Worker(new URL("./worker.ts", import.meta.url), {
  type: "module",
  name: query.get("backend") === "cpu" ? "cpu" : (query.get("limits") ?? "adapter"),
});
let llama: WorkerLlama | undefined;
let running: AbortController | undefined;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void work(continueText);
});
stop.addEventListener("click", () => running?.abort());
prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !write.disabled) form.requestSubmit();
});
backend.value = query.get("backend") === "cpu" ? "cpu" : "webgpu";
backend.addEventListener("change", () => {
  const chosen = new URL(location.href);
  chosen.searchParams.set("backend", backend.value);
  location.assign(chosen);
});
files.addEventListener("change", () => {
  const chosen = [...(files.files ?? [])];
  files.value = ""; // so that the same choice can be made again
  if (chosen.length > 0) void work((signal) => load(chosen, signal));
});
void work(async (signal) => {
  await load(model, signal);
  await continueText(signal);
});

/** One thing at a time; what goes wrong is shown. */
async function work(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
  running?.abort();
  const own = new AbortController();
  running = own;
  write.disabled = true;
  stop.disabled = false;
  error.textContent = "";
  try {
    await task(own.signal);
  } catch (reason) {
    if (!own.signal.aborted) error.textContent = reason instanceof Error ? reason.message : String(reason);
  }
  if (running !== own) return;
  running = undefined;
  if (llama === undefined) showFacts({ model: "none; choose a file, or reload the page" });
  write.disabled = llama === undefined;
  stop.disabled = true;
}

async function load(location: string | URL | readonly File[], signal: AbortSignal): Promise<void> {
  await llama?.dispose(); // one model at a time has to fit
  llama = undefined;
  speed.value = "";
  showFacts({ model: "loading ..." });
  const onProgress = ({ done, total }: { readonly done: number; readonly total: number }): void => {
    bar.value = total === 0 ? 1 : done / total;
  };
  llama = await WorkerLlama.load(worker, location, { onProgress, signal });
  show(llama.info);
}

async function continueText(signal: AbortSignal): Promise<void> {
  if (llama === undefined) return;
  text.textContent = prompt.value;
  const most = 200; // fewer where the context is full before
  let count = 0;
  let first = 0;
  for await (const piece of llama.generate(prompt.value, { maxTokens: most, temperature: 0.8, seed: 7, signal })) {
    text.append(piece.text);
    count++;
    first ||= performance.now();
    if (count > 1) speed.value = `${((count - 1) / ((performance.now() - first) / 1000)).toFixed(1)} tokens/s`;
    bar.value = piece.finish === undefined ? count / most : 1;
  }
}

function show({ name, device, formats, contextLength, loadSeconds }: ModelInfo): void {
  showFacts({
    model: name === embedded ? "poet, the embedded model" : decodeURIComponent(name.slice(name.lastIndexOf("/") + 1)),
    device: [device.device, ...threadsOf(device.details)].join(", "),
    formats: Object.keys(formats).join(", "),
    context: `${contextLength} tokens`,
    loaded: `in ${loadSeconds.toFixed(1)} s`,
  });
}

function threadsOf({ threads }: ModelInfo["device"]["details"]): readonly string[] {
  return threads === undefined ? [] : [threads === 1 ? "one thread" : `${threads} threads`];
}

function showFacts(facts: Readonly<Record<string, string>>): void {
  const cells = Object.entries(facts).flatMap(([term, value]) => [cell("dt", term), cell("dd", value)]);
  element("#facts").replaceChildren(...cells);
}

function cell(tag: "dt" | "dd", content: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}
