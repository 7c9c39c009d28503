"""Merges tiny random checkpoints with mergekit; the outputs are what tests/merge.rs compares with.

    pip install mergekit==0.1.5 && python make.py

Writes models/ (inputs), expected/ (one safetensors per recipe of recipes/, tensors in float32 unless the recipe
says otherwise), and checks that mergekit reads each written/*.yaml (what `Recipe::to_yaml` makes of the recipe of the
same name) as the same configuration.
"""

import importlib.metadata
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import save_file

assert importlib.metadata.version("mergekit") == "0.1.5"
HERE = Path(__file__).resolve().parent
HIDDEN, INNER, VOCAB, LAYERS, HEADS, KV_HEADS = 8, 6, 8, 3, 2, 1
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "vocab_size": VOCAB,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
}


def shapes(tied):
    kv = HIDDEN * KV_HEADS // HEADS
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield prefix + "self_attn.k_proj.weight", (kv, HIDDEN)
        yield prefix + "self_attn.v_proj.weight", (kv, HIDDEN)
        yield prefix + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield prefix + "mlp.gate_proj.weight", (INNER, HIDDEN)
        yield prefix + "mlp.up_proj.weight", (INNER, HIDDEN)
        yield prefix + "mlp.down_proj.weight", (HIDDEN, INNER)
        yield prefix + "input_layernorm.weight", (HIDDEN,)
        yield prefix + "post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    if not tied:
        yield "lm_head.weight", (VOCAB, HIDDEN)


def model(name, seed, near=None, step=0.0, dtype=torch.float32, tied=False):
    """Random weights, or those of `near` plus `step` times random weights."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for tensor, shape in shapes(tied):
        noise = torch.from_numpy(numbers.standard_normal(shape).astype(np.float32))
        centre = torch.ones(shape) if tensor.endswith("norm.weight") else torch.zeros(shape)
        fresh = centre + 0.3 * noise
        weights[tensor] = (fresh if near is None else near[tensor] + step * noise).to(dtype)
    folder = HERE / "models" / name
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = CONFIG | {"torch_dtype": str(dtype).removeprefix("torch."), "tie_word_embeddings": tied}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return weights


def merge(recipe):
    config = MergeConfiguration.model_validate(yaml.safe_load(recipe.read_text()))
    with tempfile.TemporaryDirectory() as out:
        run_merge(config, out, MergeOptions(copy_tokenizer=False, quiet=True, write_model_card=False))
        shutil.copy(Path(out) / "model.safetensors", HERE / "expected" / f"{recipe.stem}.safetensors")


def plain(value):
    """Numbers as floats (PyYAML reads `1e-5` as text, mergekit then as a number), without our own `mask_seed`."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items() if key != "mask_seed" and entry not in (None, {})}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, bool):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def require_same_meaning(recipe):
    def meaning(path):
        config = MergeConfiguration.model_validate(yaml.safe_load(path.read_text()))
        return plain(plain(config.model_dump()))

    written = HERE / "written" / recipe.name
    assert meaning(written) == meaning(recipe), f"{written}\n{meaning(written)}\n{meaning(recipe)}"


def main():
    for folder in ("models", "expected"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / "expected").mkdir()
    base = model("base", 1)
    model("a", 2, near=base, step=0.05)
    model("b", 3, near=base, step=0.05)
    model("far", 4)
    model("half", 5, near=base, step=0.05, dtype=torch.bfloat16)
    tied = model("tied-base", 6, tied=True)
    model("tied-a", 7, near=tied, step=0.05, tied=True)
    for recipe in sorted((HERE / "recipes").glob("*.yaml")):
        merge(recipe)
        require_same_meaning(recipe)


if __name__ == "__main__":
    main()
