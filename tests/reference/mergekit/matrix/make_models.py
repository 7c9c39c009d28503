"""Tiny random checkpoints of nine architectures, which the recipes of this folder merge.

Names and shapes are those transformers gives a model of the configuration; numbers come from PCG64 with fixed seeds.
`FAMILIES` says what each family is, `VARIANTS` what each model of a family is made from.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

HERE = Path(__file__).resolve().parent
MODELS = HERE / "models"
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 16,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}
FAMILIES = {
    "llama": LLAMA,
    "llama-tied": LLAMA | {"num_hidden_layers": 2, "tie_word_embeddings": True},
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": 8,
        "n_head": 2,
        "n_inner": 12,
        "n_layer": 3,
        "n_positions": 12,
        "vocab_size": 18,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "tie_word_embeddings": True,
    },
    "qwen2": LLAMA
    | {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "num_hidden_layers": 3,
        "vocab_size": 20,
        "tie_word_embeddings": True,
    },
    "gemma2": LLAMA
    | {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "num_hidden_layers": 3,
        "head_dim": 4,
        "query_pre_attn_scalar": 4,
        "hidden_activation": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    "bert": {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 18,
        "max_position_embeddings": 12,
        "type_vocab_size": 2,
        "tie_word_embeddings": True,
    },
    "t5": {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "d_model": 8,
        "d_kv": 4,
        "d_ff": 10,
        "num_layers": 2,
        "num_decoder_layers": 3,
        "num_heads": 2,
        "relative_attention_num_buckets": 8,
        "vocab_size": 16,
        "feed_forward_proj": "gated-gelu",
        "decoder_start_token_id": 0,
        "tie_word_embeddings": False,
    },
    "mixtral": LLAMA
    | {
        "architectures": ["MixtralForCausalLM"],
        "model_type": "mixtral",
        "num_hidden_layers": 2,
        "num_local_experts": 3,
        "num_experts_per_tok": 2,
    },
    "bloom": {
        "architectures": ["BloomForCausalLM"],
        "model_type": "bloom",
        "hidden_size": 8,
        "n_head": 2,
        "n_layer": 2,
        "vocab_size": 16,
        "tie_word_embeddings": True,
    },
}
STEP = 0.05


def transformers_class(family):
    return {"bert": AutoModelForMaskedLM, "t5": AutoModelForSeq2SeqLM}.get(family, AutoModelForCausalLM)


def shapes(family, config):
    """Tensor names and shapes as transformers saves them, tied tensors once."""
    folder = MODELS / "scratch"
    fields = {key: value for key, value in config.items() if key != "model_type"}
    model = transformers_class(family).from_config(AutoConfig.for_model(config["model_type"], **fields))
    model.save_pretrained(folder)
    found = {name: tuple(tensor.shape) for name, tensor in load_file(folder / "model.safetensors").items()}
    shutil.rmtree(folder)
    if family == "bert":
        # Published BERT checkpoints have the pooler, and mergekit asks for it; transformers' masked LM has none.
        found |= {"bert.pooler.dense.weight": (8, 8), "bert.pooler.dense.bias": (8,)}
    if family == "t5":
        # T5 1.1 and later have a head of their own; transformers 5.23 leaves it out of what it saves.
        found |= {"lm_head.weight": (16, 8)}
    return dict(sorted(found.items()))


def random_weights(shapes, seed, near=None, step=STEP):
    """Random weights around 0 (1 in norms), or those of `near` plus `step` times random ones."""
    numbers = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for name, shape in shapes.items():
        noise = torch.from_numpy(numbers.standard_normal(shape).astype(np.float32))
        centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        weights[name] = centre + 0.3 * noise if near is None else near[name] + step * noise
    return weights


def write(name, weights, config, shards=1):
    folder = MODELS / name
    folder.mkdir(parents=True)
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config | {"torch_dtype": dtype}, indent=1) + "\n")
    weights = {tensor: weights[tensor].contiguous() for tensor in sorted(weights)}
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = list(weights)
    index = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        save_file({tensor: weights[tensor] for tensor in part}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    total = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_family(family, seed):
    """`base`, two models near it (`a`, `b`) and one that has nothing to do with it (`far`)."""
    config = FAMILIES[family]
    layout = shapes(family, config)
    base = random_weights(layout, seed)
    models = {"base": base, "far": random_weights(layout, seed + 3)}
    models["a"] = random_weights(layout, seed + 1, base)
    models["b"] = random_weights(layout, seed + 2, base)
    for name, weights in models.items():
        write(f"{family}/{name}", weights, config)
    return layout, models


def write_adapter(name, base, seed, **options):
    """A LoRA adapter made and saved by peft, its matrices filled with our own numbers."""
    model = AutoModelForCausalLM.from_pretrained(MODELS / base, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=2, lora_alpha=3, **options))
    numbers = np.random.Generator(np.random.PCG64(seed))
    for parameter, values in sorted(adapted.named_parameters()):
        if "lora_" in parameter or "modules_to_save" in parameter:
            noise = torch.from_numpy(numbers.standard_normal(tuple(values.shape)).astype(np.float32))
            values.data.copy_(0.3 * noise)
    folder = MODELS / name
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    settings = json.loads((folder / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = f"models/{base}"
    settings["target_modules"].sort()
    (folder / "adapter_config.json").write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n")


def llama_variants(layout, models):
    base, a = models["base"], models["a"]
    write("llama/c", random_weights(layout, 91, base), LLAMA)
    write("llama/half", {name: t.bfloat16() for name, t in random_weights(layout, 92, base).items()}, LLAMA)
    write("llama/float16", {name: t.half() for name, t in random_weights(layout, 93, base).items()}, LLAMA)
    write("llama/sharded", random_weights(layout, 94, base), LLAMA, shards=3)
    write("llama/near", random_weights(layout, 95, base, 2e-5), LLAMA)
    write("llama/opposite", {name: -t for name, t in a.items()}, LLAMA)
    write("llama/zero-layer", {name: t * ("layers.1." not in name) for name, t in models["far"].items()}, LLAMA)
    short = {name: t for name, t in a.items() if "layers.2." not in name and "layers.3." not in name}
    write("llama/short", short, LLAMA | {"num_hidden_layers": 2})
    wide = dict(random_weights(layout, 96, base))
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        wide[name] = torch.cat([wide[name], wide[name][:2]])
    write("llama/more-words", wide, LLAMA | {"vocab_size": 18})
    headless = {name: t for name, t in random_weights(layout, 97, base).items() if name != "lm_head.weight"}
    write("llama/headless", headless, LLAMA | {"tie_word_embeddings": True})
    mistral = LLAMA | {"architectures": ["MistralForCausalLM"], "model_type": "mistral"}
    write("llama/mistral", random_weights(layout, 98, base), mistral)
    unknown = LLAMA | {"architectures": ["NewForCausalLM"], "model_type": "new"}
    write("llama/unknown-type", random_weights(layout, 99, base), unknown)
    # One expert differs from the base in some tensors only, as a fine-tune with frozen parts does.
    frozen = {name: (a[name] if "mlp" in name else base[name]) for name in base}
    write("llama/mlp-only", frozen, LLAMA)
    write_adapter("llama/lora", "llama/base", 81, target_modules=["q_proj", "v_proj", "down_proj"])
    write_adapter(
        "llama/lora-rs",
        "llama/base",
        82,
        target_modules=["o_proj", "up_proj"],
        use_rslora=True,
        rank_pattern={"up_proj": 3},
        alpha_pattern={"o_proj": 5},
        modules_to_save=["lm_head"],
    )


def other_variants(models):
    bare = {name.removeprefix("transformer."): t for name, t in models["gpt2"]["far"].items()}
    for layer in range(3):
        bare[f"h.{layer}.attn.bias"] = torch.ones(12, 12).tril().reshape(1, 1, 12, 12)
    write("gpt2/bare", bare, FAMILIES["gpt2"])
    renamed = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    old = {}
    for name, tensor in models["bert"]["far"].items():
        for new_word, old_word in renamed.items():
            name = name.replace(new_word, old_word)
        old[name] = tensor
    write("bert/old", old, FAMILIES["bert"])
    positions = torch.arange(12).reshape(1, 12)
    for name in ("a", "b"):
        write(f"bert/{name}-positions", models["bert"][name] | {"bert.embeddings.position_ids": positions}, FAMILIES["bert"])
    other = {"bert.embeddings.position_ids": positions.flip(1)}
    write("bert/other-positions", models["bert"]["b"] | other, FAMILIES["bert"])
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    unbiased = {name: t for name, t in models["t5"]["b"].items() if name != bias}
    write("t5/no-encoder-bias", unbiased, FAMILIES["t5"])
    plain = FAMILIES["t5"] | {"feed_forward_proj": "relu"}
    layout = shapes("t5", plain)
    for seed, name in ((61, "plain-a"), (62, "plain-b")):
        write(f"t5/{name}", random_weights(layout, seed), plain)
    headed = models["llama-tied"]["b"] | {"lm_head.weight": models["llama-tied"]["far"]["model.embed_tokens.weight"]}
    write("llama-tied/headed", headed, FAMILIES["llama-tied"])
    for name in ("base", "a", "b"):
        write(f"mixtral/{name}-stacked", stacked(models["mixtral"][name]), FAMILIES["mixtral"])
    # `far` is of use in these families only as what the variants above were made from.
    for family in ("bert", "mixtral", "bloom", "llama-tied"):
        shutil.rmtree(MODELS / family / "far")


def stacked(weights):
    """One tensor per layer for the experts, as transformers 5 holds them: gate above up, (experts, out, in)."""
    result = {name: tensor for name, tensor in weights.items() if ".experts." not in name}
    for layer in range(2):
        prefix = f"model.layers.{layer}."
        w1, w2, w3 = (
            [weights[f"{prefix}block_sparse_moe.experts.{expert}.{part}.weight"] for expert in range(3)]
            for part in ("w1", "w2", "w3")
        )
        result[prefix + "mlp.experts.gate_up_proj"] = torch.stack([torch.cat(pair) for pair in zip(w1, w3)])
        result[prefix + "mlp.experts.down_proj"] = torch.stack(w2)
        result[prefix + "mlp.gate.weight"] = result.pop(prefix + "block_sparse_moe.gate.weight")
    return result


def make_models():
    shutil.rmtree(MODELS, ignore_errors=True)
    MODELS.mkdir()
    made = {family: write_family(family, 10 * seed) for seed, family in enumerate(FAMILIES, start=100)}
    llama_variants(*made["llama"])
    other_variants({family: models for family, (_, models) in made.items()})


if __name__ == "__main__":
    make_models()
