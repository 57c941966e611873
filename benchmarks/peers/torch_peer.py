"""PyTorch's side of the kernel benchmarks: one operation, prepared once, timed in rounds.

Started with one JSON argument {operation, method, params, threads, device, roundMilliseconds}. Says
{"ready": {...}} when it is prepared, answers each line with the milliseconds of one call ({"ms": ...}), and ends with
its input.
"""

import json
import math
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

MOST_REPEATS = 5000


def matmul(method, size, draw):
    batch = size.get("batch", 1)
    m, k, n = size["m"], size["k"], size["n"]
    transpose_a = method in ("a-transposed", "both-transposed")
    transpose_b = method in ("b-transposed", "both-transposed")
    lead = () if batch == 1 else (batch,)
    a = draw(*lead, *((k, m) if transpose_a else (m, k)))
    b = draw(*lead, *((n, k) if transpose_b else (k, n)))
    a = a.mT if transpose_a else a
    b = b.mT if transpose_b else b
    return lambda: a @ b


def conv2d(method, size, draw):
    kernel, stride = size["kernel"], size["stride"]
    x = draw(size["batch"], size["inChannels"], size["size"], size["size"])
    w = draw(size["outChannels"], size["inChannels"], kernel, kernel)
    if method == "forward":
        return lambda: F.conv2d(x, w, stride=stride, padding=kernel // 2)
    side = -(-size["size"] // stride)
    shape = (size["batch"], size["outChannels"], side, side)
    return differentiate(lambda: F.conv2d(x, w, stride=stride, padding=kernel // 2), [x, w], shape, draw)


def nearest_code(_, size, draw):
    x, codes = draw(size["vectors"], size["dim"]), draw(size["codes"], size["dim"])
    return lambda: torch.cdist(x, codes).argmin(1)


def attention(method, size, draw):
    shape = (size["batch"], size["heads"], size["length"], size["dim"])
    q, k, v = draw(*shape), draw(*shape), draw(*shape)
    forward = lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return forward if method == "forward" else differentiate(forward, [q, k, v], shape, draw)


def softmax(method, size, draw):
    x = draw(size["rows"], size["columns"])
    forward = lambda: F.softmax(x, -1)
    return forward if method == "forward" else differentiate(forward, [x], x.shape, draw)


def norm(method, size, draw):
    kind, mode = method.rsplit("-", 1)
    if kind == "group":
        x = draw(size["batch"], size["channels"], size["size"], size["size"])
        layer = nn.GroupNorm(size["groups"], size["channels"])
    else:
        x = draw(size["rows"], size["columns"])
        layer = (nn.LayerNorm if kind == "layer" else nn.RMSNorm)(size["columns"])
    layer.to(x.device).requires_grad_(mode == "training")
    forward = lambda: layer(x)
    return forward if mode == "forward" else differentiate(forward, [x, *layer.parameters()], x.shape, draw)


def lookup(_, size, draw):
    codes = draw(size["codes"], size["dim"])
    ids = torch.randint(size["codes"], (size["vectors"],), device=codes.device)
    return differentiate(lambda: F.embedding(ids, codes), [codes], (size["vectors"], size["dim"]), draw)


def adamw(_, size, draw):
    parameters = [nn.Parameter(draw(size["elements"])) for _ in range(size["tensors"])]
    for parameter in parameters:
        parameter.grad = draw(size["elements"])
    # The fused form: one pass over the memory, as in the kernel that it is measured against.
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01, fused=True)
    return optimizer.step


def einsum(method, size, draw):
    if method == "scores":
        shape = (size["batch"], size["heads"], size["length"], size["dim"])
        a, b = draw(*shape), draw(*shape)
        return lambda: torch.einsum("bhid,bhjd->bhij", a, b)
    a = draw(size["batch"], size["length"], size["width"])
    b = draw(size["heads"], size["width"], size["dim"])
    return lambda: torch.einsum("bnd,hde->bhne", a, b)


class DigitsAutoencoder(nn.Module):
    """784-128-(8 tokens of 8)-128-784 with a codebook in the middle, trained straight through."""

    def __init__(self, codes):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64))
        self.decoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 784), nn.Sigmoid())
        self.codebook = nn.Parameter(torch.empty(codes, 8).uniform_(-1 / codes, 1 / codes))

    def forward(self, x):
        z = self.encoder(x).view(-1, 8)  # [8 B, 8]
        with torch.no_grad():
            indices = torch.cdist(z, self.codebook).argmin(1)
        q = F.embedding(indices, self.codebook)
        loss = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        through = z + (q - z).detach()
        return self.decoder(through.view(-1, 64)), loss


def digits_step(_, size, draw):
    x = draw(size["batchSize"], 784).abs()
    model = DigitsAutoencoder(size["codebookSize"]).to(x.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)

    def step():
        digits, quantization = model(x)
        loss = F.mse_loss(digits, x) + quantization
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


operations = {
    "matmul": matmul,
    "conv2d": conv2d,
    "nearest-code": nearest_code,
    "attention": attention,
    "softmax": softmax,
    "norm": norm,
    "lookup": lookup,
    "adamw": adamw,
    "einsum": einsum,
    "digits-step": digits_step,
}


def differentiate(forward, inputs, shape, draw):
    """Forward and the gradients of all inputs, from a given gradient of the output, whose shape is given too."""
    dy = draw(*shape)
    for x in inputs:
        x.requires_grad_()
    return lambda: torch.autograd.grad(forward(), inputs, dy)


def resident(field):
    """A size of this process in bytes: VmRSS, or VmHWM for its peak; None where the system does not say."""
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines[field].split()[0]) * 1024
    except (OSError, KeyError):
        return None


def peak_of(call, device):
    """How far the memory in use rises during a call, in bytes; None where the system does not say."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    try:
        with open("/proc/self/clear_refs", "w") as control:
            control.write("5")
    except OSError:
        call()
        return None
    before = resident("VmRSS")
    call()
    peak = resident("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def main():
    assignment = json.loads(sys.argv[1])
    device = assignment["device"]
    if device == "cuda" and not torch.cuda.is_available():
        print(json.dumps({"ready": {"skipped": "PyTorch finds no GPU here"}}), flush=True)
        return
    torch.set_num_threads(assignment["threads"])
    torch.manual_seed(0)
    # PyTorch multiplies float32 in float32, on a GPU too; in convolutions it would not by itself.
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    draw = lambda *shape: torch.empty(shape, device=device).uniform_(-1, 1)
    settle = torch.cuda.synchronize if device == "cuda" else lambda: None
    prepare, method, size = operations[assignment["operation"]], assignment["method"], assignment["params"]

    # What libraries set up at their first call is not the operation's memory.
    prepare(method, {name: min(value, 8) for name, value in size.items()}, draw)()
    call = prepare(method, size, draw)
    memory = peak_of(call, device)
    settle()
    description = {
        "version": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cuda": torch.version.cuda if device == "cuda" else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "memory": memory,
    }
    print(json.dumps({"ready": description}), flush=True)

    def time_calls(times):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        settle()
        return (time.perf_counter() - begun) * 1000 / times

    def count_repeats():
        # One call alone does not tell how many fill a round: on a GPU most of its time is the wait for its end.
        times = 1
        while True:
            milliseconds = time_calls(times)
            if times == MOST_REPEATS or milliseconds * times >= assignment["roundMilliseconds"]:
                return times, milliseconds
            enough = math.ceil(assignment["roundMilliseconds"] / max(milliseconds, 1e-4))
            times = min(MOST_REPEATS, max(2 * times, enough))

    repeats = 0
    for _ in sys.stdin:
        if repeats == 0:
            repeats, milliseconds = count_repeats()
        else:
            milliseconds = time_calls(repeats)
        print(json.dumps({"ms": milliseconds}), flush=True)


if __name__ == "__main__":
    # A parent that is gone closes the pipe; that is no error.
    try:
        main()
    except BrokenPipeError:
        os._exit(0)
