"""Speed of a 7B Llama in bf16 with PyTorch and transformers, to compare with: random weights made on the card, a static cache,
eager and compiled. Prints a JSON object after each measurement, of all until then. Run by gpu-check where Python has both packages."""

import argparse
import json
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM, StaticCache

parser = argparse.ArgumentParser()
parser.add_argument("--seconds", type=float, default=300)
parser.add_argument("--device", default="cuda")
parser.add_argument("--tiny", action="store_true", help="small sizes, to try the program itself")
options = parser.parse_args()
deadline = time.monotonic() + options.seconds
device = torch.device(options.device)
tokens, contexts, prompts = (4, [8], [16]) if options.tiny else (64, [128, 4000], [512, 2048])
sizes = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, vocab_size=259) if options.tiny else {}


def synchronize():
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(action, rounds):
    action()
    synchronize()
    started = time.perf_counter()
    for _ in range(rounds):
        action()
    synchronize()
    return (time.perf_counter() - started) / rounds


results = {"torch": torch.__version__, "transformers": transformers.__version__, "measurements": []}


def measure(mode, what, action):
    entry = {"mode": mode, "what": what}
    if time.monotonic() > deadline:
        entry["notRun"] = "out of time"
    else:
        try:
            entry["value"] = action()
        except Exception as error:  # a version of transformers may not do it; the report says why
            entry["notRun"] = f"{type(error).__name__}: {str(error)[:300]}"
    results["measurements"].append(entry)
    print(json.dumps(results), flush=True)  # a run that is killed leaves what it has


@torch.inference_mode()
def peak():
    n = 128 if options.tiny else 8192
    a = torch.randn(n, n, dtype=torch.bfloat16, device=device)
    b = torch.randn(n, n, dtype=torch.bfloat16, device=device)
    return 2 * n**3 / seconds(lambda: a @ b, 10)


measure("matmul", "peak", peak)
config = LlamaConfig(max_position_embeddings=4096, **sizes)
previous = torch.get_default_dtype()
torch.set_default_dtype(torch.bfloat16)
with torch.device(device):
    model = LlamaForCausalLM(config).eval()
torch.set_default_dtype(previous)


def cache_of(length):
    try:
        return StaticCache(config=config, max_batch_size=1, max_cache_len=length, device=device, dtype=torch.bfloat16)
    except TypeError:  # newer versions take fewer arguments
        return StaticCache(config=config, max_cache_len=length)


def step(model, ids, cache, positions):
    return model(
        input_ids=ids,
        past_key_values=cache,
        cache_position=positions,
        position_ids=positions.unsqueeze(0),
        use_cache=True,
        logits_to_keep=1,
    ).logits


@torch.inference_mode()
def prefill(reader, n):
    ids = torch.arange(n, device=device).unsqueeze(0) % config.vocab_size
    positions = torch.arange(n, device=device)
    cache = cache_of(n)
    return n / seconds(lambda: step(reader, ids, cache, positions), 3)


@torch.inference_mode()
def decode(decoder, context):
    cache = cache_of(context + tokens + 8)
    for first in range(0, context, 512):
        positions = torch.arange(first, min(first + 512, context), device=device)
        step(model, positions.unsqueeze(0) % config.vocab_size, cache, positions)
    ids = torch.ones(1, 1, dtype=torch.long, device=device)
    position = torch.tensor([context], device=device)

    def once():
        nonlocal ids
        logits = step(decoder, ids, cache, position)
        ids = logits[:, -1:].argmax(dim=-1).clone()
        position.add_(1)

    for _ in range(3):
        once()
    return 1 / seconds(once, tokens)


compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
for n in prompts:
    measure("eager", f"prefill {n}", lambda: prefill(model, n))
for context in contexts:
    measure("eager", f"decode at {context}", lambda: decode(model, context))
    measure("compiled", f"decode at {context}", lambda: decode(compiled, context))
for n in prompts:  # last, as compiling for each length takes the longest
    measure("compiled", f"prefill {n}", lambda: prefill(compiled, n))
