"""Tiny random checkpoints and the log-probabilities that Hugging Face transformers gives for them.

    pip install torch==2.15.0 transformers==5.23.0 safetensors && python make.py

Writes, beside itself, one folder per checkpoint: config.json, model.safetensors (float32) and log_probs.json, which lists
token sequences and, for every token but the first, its log-probability after the ones before it, computed in float64.
"""

import json
import pathlib

import torch
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

HERE = pathlib.Path(__file__).parent
SHAPE = dict(
    vocab_size=48,
    hidden_size=32,
    intermediate_size=40,
    num_hidden_layers=2,
    max_position_embeddings=64,
    initializer_range=0.25,
    bos_token_id=1,
    eos_token_id=2,
    attn_implementation="eager",
)


def four_x_spelling(config):
    """The keys that transformers 4.39 wrote where 5.x writes `rope_parameters` and `dtype`."""
    rope = config.pop("rope_parameters")
    config |= {"rope_theta": rope["rope_theta"], "rope_scaling": None, "torch_dtype": config.pop("dtype")}
    del config["head_dim"]
    config["transformers_version"] = "4.39.3"
    return config


def sequences(generator):
    """Random sequences; some share a beginning, some are longer than a tile of 16 keys."""
    draw = lambda n: torch.randint(0, SHAPE["vocab_size"], (n,), generator=generator).tolist()
    prompt, long_prompt = draw(9), draw(37)
    return [
        prompt + draw(1), prompt + draw(2), prompt + draw(4), prompt[:5] + draw(3),
        draw(2), draw(16), draw(17), draw(18), long_prompt + draw(1), long_prompt + draw(5), draw(64),
    ]


def make(name, model, spelling=lambda config: config):
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name:
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
    folder = HERE / name
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(spelling(config), indent=2) + "\n")
    model = model.double().eval()
    rows = []
    for tokens in sequences(generator):
        with torch.no_grad():
            log_probs = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
        rows.append({"tokens": tokens, "log_probs": [round(log_probs[i, t].item(), 7) for i, t in enumerate(tokens[1:])]})
    lines = ",\n".join(" " + json.dumps(row) for row in rows)
    (folder / "log_probs.json").write_text(f"[\n{lines}\n]\n")


torch.manual_seed(1)
make(
    "grouped-tied-4x",
    LlamaForCausalLM(LlamaConfig(
        **SHAPE, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-5)),
    four_x_spelling,
)
make(
    "wide-heads-untied-5x",
    LlamaForCausalLM(LlamaConfig(
        **SHAPE, num_attention_heads=2, num_key_value_heads=1, head_dim=12, tie_word_embeddings=False, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0})),
)
make(
    "mistral-no-window",
    MistralForCausalLM(MistralConfig(
        **SHAPE, num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False, sliding_window=None)),
)
