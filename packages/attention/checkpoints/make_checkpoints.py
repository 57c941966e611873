"""Makes small checkpoints of random weights by Hugging Face's classes, with the logits that they give.

    python make_checkpoints.py ../src/checkpoints/golden           # those that the tests read
    python make_checkpoints.py /tmp/more --random 20 --seed 7      # others; see checkpoints.test.ts for how to read them

A folder for each: config.json, model.safetensors (or shards and an index), and expected.safetensors with `tokens`
[B, L], `prefill` [B, L, V], the logits of one call, and `decode` [B, L, V], those of a prompt and then token by token.
Logits are computed in double precision from the weights as they are stored.
"""

import argparse
import json
import math
import random
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

BATCH, LENGTH, PROMPT = 2, 9, 4


def yarn(**more):
    return dict(rope_type="yarn", rope_theta=100.0, factor=4.0, original_max_position_embeddings=16, **more)


def llama(**more):
    return dict(vocab_size=23, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=64, **more)  # fmt: skip


def deepseek(**more):
    return dict(vocab_size=23, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                num_key_value_heads=2, kv_lora_rank=8, qk_nope_head_dim=6, qk_rope_head_dim=8, v_head_dim=5,
                n_routed_experts=6, num_experts_per_tok=2, moe_intermediate_size=8, first_k_dense_replace=1,
                max_position_embeddings=64, **more)  # fmt: skip


LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)  # fmt: skip

# name -> model type, configuration, how it is written
COMMITTED = {
    "llama3": ("llama", llama(rope_parameters=LLAMA3, rms_norm_eps=1e-5), dict(shards=True)),
    "llama-biases": ("llama", llama(attention_bias=True, mlp_bias=True, tie_word_embeddings=True), {}),
    "mistral": ("mistral", llama(sliding_window=3), {}),
    "qwen2": ("qwen2", llama(tie_word_embeddings=True, use_sliding_window=True, sliding_window=3, max_window_layers=1),
              dict(dtype="float16")),
    "qwen3": ("qwen3", llama(head_dim=6, tie_word_embeddings=True, rope_parameters=yarn()), dict(dtype="bfloat16")),
    "deepseek-v2-lite": ("deepseek_v2", deepseek(q_lora_rank=None, n_shared_experts=2, topk_method="greedy",
                         rope_parameters=yarn(mscale=0.707, mscale_all_dim=0.707)), dict(old=True)),
    "deepseek-v2": ("deepseek_v2", deepseek(q_lora_rank=7, n_shared_experts=1, topk_method="group_limited_greedy",
                    n_group=2, topk_group=1, routed_scaling_factor=4.0), {}),
    "deepseek-v3": ("deepseek_v3", deepseek(q_lora_rank=7, n_shared_experts=1, n_group=3, topk_group=2,
                    rope_parameters=yarn(mscale=1.0, mscale_all_dim=1.0)), {}),
    "deepseek-v3-fp8": ("deepseek_v3", deepseek(q_lora_rank=7, n_shared_experts=1, n_group=1, topk_group=1,
                        rope_parameters=yarn(mscale=1.0, mscale_all_dim=0.5)), dict(block=(8, 4))),
}  # fmt: skip


def drawn(rng):
    """A configuration of any kind, its sizes drawn."""
    pick = rng.choice
    kind = pick(["llama", "mistral", "qwen2", "qwen3", "deepseek_v2", "deepseek_v3"])
    scaled = [None, dict(rope_type="default", rope_theta=pick([50.0, 1e6])), dict(rope_type="linear", rope_theta=1e4, factor=2.0), LLAMA3]
    mscale = pick([{}, dict(mscale=0.707, mscale_all_dim=1.0), dict(mscale=1.0, mscale_all_dim=0), dict(beta_fast=4, truncate=False)])
    scaled.append(yarn(**mscale))
    layers = pick([1, 2, 3])
    common = dict(vocab_size=pick([11, 40]), hidden_size=pick([12, 24]), intermediate_size=pick([7, 20]), num_hidden_layers=layers,
                  max_position_embeddings=pick([32, 128]), rms_norm_eps=pick([1e-6, 1e-5]), tie_word_embeddings=pick([True, False]))  # fmt: skip
    how = dict(dtype=pick(["float32", "float16", "bfloat16"]), shards=pick([True, False]))
    if not kind.startswith("deepseek"):
        groups = pick([1, 2, 3])
        config = dict(common, num_attention_heads=6, num_key_value_heads=groups, head_dim=pick([2, 4, 8]), rope_parameters=pick(scaled))
        if kind in ("llama", "qwen3"):
            config["attention_bias"] = pick([True, False])
        if kind == "llama":
            config["mlp_bias"] = pick([True, False])
        else:
            config.update(sliding_window=pick([2, 5]))
        if kind.startswith("qwen"):
            config.update(use_sliding_window=pick([True, False]), max_window_layers=pick([0, 1, 2]))
        return kind, config, how
    groups, each = pick([1, 2, 3]), pick([2, 3])
    open_groups = rng.randint(1, groups)
    config = dict(common, num_attention_heads=3, num_key_value_heads=3, kv_lora_rank=pick([4, 9]), q_lora_rank=pick([None, 5]),
                  qk_nope_head_dim=pick([3, 8]), qk_rope_head_dim=pick([2, 6]), v_head_dim=pick([4, 7]), n_routed_experts=groups * each,
                  num_experts_per_tok=rng.randint(1, open_groups * each), moe_intermediate_size=pick([3, 8]), n_shared_experts=pick([1, 2]),
                  first_k_dense_replace=rng.randint(0, layers), n_group=groups, topk_group=open_groups,
                  routed_scaling_factor=pick([1.0, 2.5]), rope_parameters=pick([scaled[0], scaled[-1]]))  # fmt: skip
    if kind == "deepseek_v2":
        config["topk_method"] = pick(["greedy", "group_limited_greedy"])
    else:
        config.update(norm_topk_prob=pick([True, False]), rope_interleave=pick([True, False]))
        how = pick([how, dict(block=(4, 8))])
    how["old"] = pick([True, False])
    return kind, config, how


def lively(model):
    """Weights large enough that every part shows in the logits."""
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if "inv_freq" in name:
            continue
        around = 1.0 if "norm" in name else 0.0
        spread = 1.2 / math.sqrt(tensor.shape[-1]) if tensor.ndim > 1 else 0.2
        tensor.data.normal_(around, spread)


def in_float8(tensors, rows, columns):
    """Every matrix between layers as float8 with a scale for each block, as DeepSeek-V3 is published."""
    stored = {}
    for name, weight in tensors.items():
        if weight.ndim != 2 or not name.endswith("_proj.weight") and "_proj_with_mqa" not in name:
            stored[name] = weight
            continue
        down, across = math.ceil(weight.shape[0] / rows), math.ceil(weight.shape[1] / columns)
        padded = torch.zeros(down * rows, across * columns)
        padded[: weight.shape[0], : weight.shape[1]] = weight
        scales = padded.view(down, rows, across, columns).abs().amax((1, 3)) / 448
        wide = scales.repeat_interleave(rows, 0).repeat_interleave(columns, 1)[: weight.shape[0], : weight.shape[1]]
        stored[name] = (weight / wide).to(torch.float8_e4m3fn)
        stored[name + "_scale_inv"] = scales
        tensors[name] = stored[name].float() * wide
    return stored, tensors


def make(folder, kind, config, seed, dtype="float32", shards=False, block=None, old=False):
    torch.manual_seed(seed)
    shutil.rmtree(folder, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    lively(model)
    model.tie_weights()
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size="8KB" if shards else "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    if old:
        rewrite(folder / "config.json", in_older_form)
    model = exact(folder)
    if block:
        path = folder / "model.safetensors"
        stored, read = in_float8(load_file(path), *block)
        # Into the model by the same names, through a file as it reads one.
        save_file(read, path, metadata={"format": "pt"})
        model = exact(folder)
        save_file(stored, path, metadata={"format": "pt"})
        method = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=list(block))
        rewrite(folder / "config.json", lambda read: read | dict(quantization_config=method))
    save_file(expected(model.eval()), folder / "expected.safetensors")


def exact(folder):
    """In double precision, which only the plain implementations take."""
    plain = dict(attn_implementation="eager", experts_implementation="eager")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, **plain)


def rewrite(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=2, sort_keys=True) + "\n")


def in_older_form(config):
    """As configurations were written before `rope_parameters`."""
    rotation = config.pop("rope_parameters")
    config["rope_theta"] = rotation.pop("rope_theta")
    kind = rotation.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else dict(rotation, type=kind)
    return config


@torch.no_grad()
def expected(model):
    tokens = torch.randint(model.config.vocab_size, (BATCH, LENGTH))
    prefill = model(tokens, use_cache=False).logits
    out = model(tokens[:, :PROMPT], use_cache=True)
    decode = [out.logits]
    for place in range(PROMPT, LENGTH):
        out = model(tokens[:, place : place + 1], cache=out.past_key_values, use_cache=True)
        decode.append(out.logits)
    return {"tokens": tokens.int(), "prefill": prefill.float(), "decode": torch.cat(decode, 1).float()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--random", type=int, default=0, help="how many, of sizes drawn; default: those of the tests")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    wanted = {f"random-{i}": drawn(rng) for i in range(given.random)} or COMMITTED
    for i, (name, (kind, config, how)) in enumerate(wanted.items()):
        make(given.folder / name, kind, config, seed=1000 * given.seed + i, **how)


if __name__ == "__main__":
    main()
