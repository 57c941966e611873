"""Checkpoints of vector-quantize-pytorch 1.32.0, and whether it takes ours.

    python peer.py make golden       writes a small checkpoint for each quantizer below, and for all of them inputs with the
                                     indices and outputs that PyTorch gives
    python peer.py check FOLDER      loads a folder of the same kind, by load_state_dict(strict=True), and fails unless PyTorch
                                     gives the indices and outputs written there

    python peer.py options           prints each class with the options of its making and of its calls

Needs torch, safetensors and vector-quantize-pytorch.
"""

import inspect
import sys
from pathlib import Path

import torch
import vector_quantize_pytorch
from safetensors.torch import load_file, save_file
from vector_quantize_pytorch import FSQ, GroupedResidualVQ, ResidualFSQ, ResidualSimVQ, ResidualVQ, SimVQ, VectorQuantize

# name: (how the quantizer is made, the size of its vectors)
QUANTIZERS = {
    "vq-ema": (lambda: VectorQuantize(dim=4, codebook_size=8), 4),
    "vq-kmeans": (lambda: VectorQuantize(dim=4, codebook_size=8, kmeans_init=True, threshold_ema_dead_code=0.5), 4),
    "vq-projected": (lambda: VectorQuantize(dim=6, codebook_size=8, codebook_dim=4), 6),
    "vq-layer-norm": (
        lambda: VectorQuantize(dim=6, codebook_size=8, codebook_dim=4, layernorm_after_project_in=True),
        6,
    ),
    "vq-learnable": (lambda: VectorQuantize(dim=4, codebook_size=8, learnable_codebook=True, ema_update=False), 4),
    "vq-cosine": (lambda: VectorQuantize(dim=4, codebook_size=8, use_cosine_sim=True), 4),
    "vq-shared-heads": (lambda: VectorQuantize(dim=8, codebook_size=8, codebook_dim=4, heads=2), 8),
    "vq-separate-heads": (
        lambda: VectorQuantize(dim=6, codebook_size=8, codebook_dim=4, heads=2, separate_codebook_per_head=True),
        6,
    ),
    "vq-affine": (lambda: VectorQuantize(dim=4, codebook_size=8, affine_param=True), 4),
    "simvq": (lambda: SimVQ(dim=4, codebook_size=16, frozen_codebook_dim=3), 4),
    "simvq-bias": (lambda: SimVQ(dim=4, codebook_size=16, codebook_transform=torch.nn.Linear(4, 4)), 4),
    "residual-simvq": (lambda: ResidualSimVQ(dim=4, codebook_size=16, num_quantizers=2), 4),
    "fsq": (lambda: FSQ([8, 5]), 2),
    "fsq-projected": (lambda: FSQ([5, 4], dim=6), 6),
    "fsq-no-bias": (lambda: FSQ([5, 4], dim=6, num_codebooks=2, projection_has_bias=False), 6),
    "fsq-rotated": (lambda: FSQ([5, 5, 5], orthogonal_rotation=True), 3),
    "residual-fsq": (lambda: ResidualFSQ(levels=[5, 5], dim=6, num_quantizers=2), 6),
    "residual-vq": (lambda: ResidualVQ(dim=6, codebook_dim=4, codebook_size=8, num_quantizers=3), 6),
    "residual-vq-shared": (lambda: ResidualVQ(dim=4, codebook_size=8, num_quantizers=3, shared_codebook=True), 4),
    "grouped-residual-vq": (lambda: GroupedResidualVQ(dim=8, codebook_size=8, groups=2, num_quantizers=2), 8),
}


def train(quantizer, dim):
    """A few steps, so that nothing in the state is as it was made."""
    optimizer = torch.optim.SGD(parameters, lr=0.1) if (parameters := list(quantizer.parameters())) else None
    for _ in range(4):
        quantized, _, *losses = quantizer.train()(torch.randn(2, 32, dim).requires_grad_())
        if optimizer:
            optimizer.zero_grad()
            (quantized.square().mean() + sum(loss.sum() for loss in losses)).backward()
            optimizer.step()


def evaluate(quantizer, x):
    quantized, indices, *_ = quantizer.eval()(x)
    # [groups, ..., layers], which are one dimension here, group after group.
    if isinstance(quantizer, GroupedResidualVQ):
        indices = torch.cat(list(indices), dim=-1)
    return {"quantized": quantized.detach().contiguous(), "indices": indices.to(torch.int32).contiguous()}


def make(folder):
    expected = {}
    for seed, (name, (build, dim)) in enumerate(QUANTIZERS.items()):
        torch.manual_seed(seed)
        quantizer = build()
        train(quantizer, dim)
        found = {"input": torch.randn(2, 10, dim)}
        found.update(evaluate(quantizer, found["input"]))
        expected.update({f"{name}/{key}": value for key, value in found.items()})
        # Layers that share a codebook share memory, which the format does not allow.
        save_file({key: value.clone() for key, value in quantizer.state_dict().items()}, folder / f"{name}.safetensors")
    save_file(expected, folder / "expected.safetensors")


def check(folder):
    expected = load_file(folder / "expected.safetensors")
    for name in sorted({key.split("/")[0] for key in expected}):
        build, dim = QUANTIZERS[name]
        quantizer = build()
        # Statistics of the batch are no part of the state before a first one has been seen.
        if name == "vq-affine":
            train(quantizer, dim)
        quantizer.load_state_dict(load_file(folder / f"{name}.safetensors"), strict=True)
        found = quantizer.state_dict()
        for key, value in load_file(folder / f"{name}.safetensors").items():
            assert found[key].dtype == value.dtype and torch.equal(found[key], value), f"{name}: {key}"
        if name == "vq-affine":
            # Its statistics move in evaluation too: this takes back what the step below will do.
            codebook, x = quantizer._codebook, expected[f"{name}/input"].reshape(-1, dim)
            codebook.batch_mean = (codebook.batch_mean - 0.01 * x.mean(0)) / 0.99
            codebook.batch_variance = (codebook.batch_variance - 0.01 * x.var(0, unbiased=False)) / 0.99
        out = evaluate(quantizer, expected[f"{name}/input"])
        assert torch.equal(out["indices"], expected[f"{name}/indices"]), f"{name}: indices"
        torch.testing.assert_close(out["quantized"], expected[f"{name}/quantized"], atol=1e-5, rtol=1e-5)
        print(f"{name}: ok")


def options():
    for name, found in inspect.getmembers(vector_quantize_pytorch, inspect.isclass):
        for call in (found.__init__, found.forward):
            for option in list(inspect.signature(call).parameters)[1:]:
                print(name, option)


if __name__ == "__main__":
    command, *folder = sys.argv[1:]
    {"make": make, "check": check, "options": options}[command](*map(Path, folder))
