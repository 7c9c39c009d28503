"""Trains nothing: gives tiny random models LoRA adapters with random weights, and merges them with PEFT.

    pip install peft==0.21.2 transformers==5.23.0 torch==2.15.0 && python make.py

Writes models/<base>/ (checkpoints), adapters/<name>/ (as PEFT saves them; `base_model_name_or_path` is the base's name)
and merged/<name>.safetensors (what `merge_and_unload` makes of both, float32). tests/adapter.rs compares with those.
"""

import importlib.metadata
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

assert importlib.metadata.version("peft") == "0.21.2"
HERE = Path(__file__).resolve().parent
LLAMA = LlamaConfig(
    vocab_size=10, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=1, max_position_embeddings=16, tie_word_embeddings=False,
)
GPT2 = GPT2Config(vocab_size=10, n_embd=8, n_layer=2, n_head=2, n_positions=16)
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
CONV = ["c_attn", "c_proj", "c_fc"]
ADAPTERS = {
    "plain": ("llama", dict(r=2, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    "rslora": ("llama", dict(r=4, lora_alpha=6, target_modules="all-linear", use_rslora=True)),
    "patterns": ("llama", dict(
        r=2, lora_alpha=8, target_modules=ATTENTION + MLP,
        rank_pattern={"q_proj": 3, r"layers\.[01]\.mlp\.(up|gate)_proj": 1, "^model.layers.1.self_attn.o_proj": 4},
        alpha_pattern={"0.self_attn.q_proj": 5, r"mlp\..*": 3, "up_proj": 7, "v_pro": 100, "_proj": 100},
    )),
    "saved": ("llama", dict(
        r=2, lora_alpha=4, target_modules=["down_proj"], modules_to_save=["embed_tokens", "lm_head"],
    )),
    "embedding": ("llama", dict(r=3, lora_alpha=4, target_modules=["embed_tokens", "o_proj", "lm_head"])),
    "one-layer": ("llama", dict(r=1, lora_alpha=2, target_modules=["k_proj"], layers_to_transform=[1])),
    "bfloat16": ("llama", dict(r=2, lora_alpha=3, target_modules=ATTENTION)),
    "conv": ("gpt2", dict(r=2, lora_alpha=4, target_modules=CONV, fan_in_fan_out=True)),
    "conv-bias-all": ("gpt2", dict(r=2, lora_alpha=4, target_modules=["c_attn"], fan_in_fan_out=True, bias="all")),
    "conv-bias-lora": ("gpt2", dict(r=2, lora_alpha=4, target_modules=CONV, fan_in_fan_out=True, bias="lora_only")),
    "b-bias": ("gpt2", dict(r=2, lora_alpha=6, target_modules=["c_fc"], fan_in_fan_out=True, lora_bias=True)),
    # PEFT sets fan_in_fan_out from the class of each layer, so the flag that it stores is of little use.
    "wrong-flag": ("gpt2", dict(r=2, lora_alpha=4, target_modules=["c_proj"], fan_in_fan_out=False)),
}


def randomise(parameters, scale):
    for parameter in parameters:
        parameter.data = scale * torch.randn(parameter.shape)


def base(name, config):
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomise(model.parameters(), 0.3)
    model.save_pretrained(HERE / "models" / name)
    (HERE / "models" / name / "generation_config.json").unlink()


def adapter(name, base_name, settings):
    folder, model_folder = HERE / "adapters" / name, HERE / "models" / base_name
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(model_folder), LoraConfig(task_type="CAUSAL_LM", **settings))
    randomise((p for p in model.parameters() if p.requires_grad), 0.2)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    if name == "bfloat16":
        save_file({key: value.bfloat16() for key, value in load_file(weights).items()}, weights)
    if name == "wrong-flag":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"fan_in_fan_out": False}, indent=2))

    fresh = AutoModelForCausalLM.from_pretrained(model_folder)
    merged = PeftModel.from_pretrained(fresh, folder).merge_and_unload()
    stored = load_file(model_folder / "model.safetensors").keys()
    state = {key: value.clone().contiguous() for key, value in merged.state_dict().items() if key in stored}
    assert state.keys() == stored, stored - state.keys()
    (HERE / "merged").mkdir(exist_ok=True)
    save_file(state, HERE / "merged" / f"{name}.safetensors")
    fields = json.loads(config.read_text()) | {"base_model_name_or_path": base_name}
    config.write_text(json.dumps(fields, indent=2) + "\n")


if __name__ == "__main__":
    torch.manual_seed(3)
    for old in ["models", "adapters", "merged"]:
        shutil.rmtree(HERE / old, ignore_errors=True)
    base("llama", LLAMA)
    base("gpt2", GPT2)
    for name, (base_name, settings) in ADAPTERS.items():
        adapter(name, base_name, settings)
