"""The training step of benchmarks/train.ts in PyTorch: the same model, weights and tokens, in float32.

Reads the sizes as JSON from its first argument and the weights as raw float32 from the second; then answers each line of
its input: "step" with the loss and the seconds of one step, "products" with the seconds of its matrix products alone,
"memory" with the bytes of its process at its start and at its peak.
"""

import json
import sys
import time


def resident(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise RuntimeError("no " + field)


import numpy
import torch
import torch.nn.functional as F

start = resident("VmRSS")
sizes = json.loads(sys.argv[1])
torch.set_num_threads(sizes["threads"])
D, H, G, d = sizes["dim"], sizes["heads"], sizes["kvHeads"], sizes["headDim"]
B, T = sizes["sequences"], sizes["length"]

values = numpy.fromfile(sys.argv[2], dtype=numpy.float32)
parameters = {}
at = 0
for name, shape in sizes["weights"]:
    count = int(numpy.prod(shape))
    parameters[name] = torch.tensor(values[at : at + count].reshape(shape)).requires_grad_()
    at += count
del values
tokens = torch.tensor(sizes["tokens"]).view(B, T)
targets = torch.tensor(sizes["targets"]).view(B, T)

positions = torch.arange(T, dtype=torch.float64)
angles = positions[:, None] * sizes["theta"] ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)  # [T, d / 2]
cosines, sines = angles.cos().float(), angles.sin().float()
hidden = torch.full((T, T), float("-inf")).triu(1)  # what a row must not see


def norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + sizes["eps"]) * weight


def rotate(x):  # [B, T, heads, d]
    a, b = x[..., 0::2], x[..., 1::2]
    cosine, sine = cosines[:, None], sines[:, None]
    return torch.stack((a * cosine - b * sine, a * sine + b * cosine), -1).flatten(-2)


def model():
    p = parameters
    x = F.embedding(tokens, p["tok_embeddings.weight"])  # [B, T, D]
    for i in range(sizes["layers"]):
        name = f"layers.{i}."
        y = norm(x, p[name + "attention_norm.weight"])
        q = rotate(F.linear(y, p[name + "attention.wq.weight"]).view(B, T, H, d)).transpose(1, 2)
        k = rotate(F.linear(y, p[name + "attention.wk.weight"]).view(B, T, G, d)).transpose(1, 2)
        v = F.linear(y, p[name + "attention.wv.weight"]).view(B, T, G, d).transpose(1, 2)
        if G != H:
            k, v = (each.repeat_interleave(H // G, 1) for each in (k, v))
        weights = F.softmax(q @ k.transpose(2, 3) / d**0.5 + hidden, -1)  # [B, H, T, T]
        y = (weights @ v).transpose(1, 2).reshape(B, T, H * d)
        x = x + F.linear(y, p[name + "attention.wo.weight"])
        y = norm(x, p[name + "ffn_norm.weight"])
        gate, up = (F.linear(y, p[name + f"feed_forward.{each}.weight"]) for each in ("w1", "w3"))
        x = x + F.linear(F.silu(gate) * up, p[name + "feed_forward.w2.weight"])
    head = p.get("output.weight", p["tok_embeddings.weight"])
    return F.linear(norm(x, p["norm.weight"]), head)  # [B, T, V]


groups = [
    {"params": [p for p in parameters.values() if p.dim() > 1], "weight_decay": 0.1},
    {"params": [p for p in parameters.values() if p.dim() == 1], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=sizes["rate"], betas=(0.9, 0.95), eps=1e-5)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model().flatten(0, 1), targets.flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(parameters.values()), 1.0)
    optimizer.step()
    return loss.item()


def products():
    """Of each matrix the product, and those of its gradient by input and weight."""
    seconds = 0
    for (rows, columns), count in sizes["products"]:
        x, w, y = torch.randn(B * T, columns), torch.randn(rows, columns), torch.randn(B * T, rows)
        began = time.perf_counter()
        for _ in range(count):
            x @ w.T
            y @ w
            y.T @ x
        seconds += time.perf_counter() - began
    return seconds


print(json.dumps({"torch": torch.__version__}), flush=True)
for line in sys.stdin:
    asked = line.strip()
    began = time.perf_counter()
    if asked == "step":
        loss = step()
        print(json.dumps({"loss": loss, "seconds": time.perf_counter() - began}), flush=True)
    elif asked == "products":
        print(json.dumps({"seconds": products()}), flush=True)
    elif asked == "memory":
        print(json.dumps({"start": start, "peak": resident("VmHWM")}), flush=True)
