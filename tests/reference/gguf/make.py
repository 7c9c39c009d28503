"""Tiny GGUF files and the log-probabilities that Hugging Face transformers gives for the same weights.

    pip install torch==2.15.0 transformers==5.23.0 gguf==0.19.0 && python make.py

Writes, beside itself, one .gguf per model and log_probs.json: per model, token sequences and for every token but the first
its log-probability after the ones before it, computed in float64. What llama.cpp's converter does to a model is done here:
its names (gguf's own table), its order of rows for the architecture llama, Gemma's norms plus one, Llama 3's rotary factors,
stacked experts. The quantized weights are what gguf's own dequantize gives back.

quants.gguf has blocks of random bytes of the types that gguf cannot make itself, and quants.json what it reads in them.
"""

import json
import math
import pathlib

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Kind

HERE = pathlib.Path(__file__).parent
SHAPE = dict(
    vocab_size=48,
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=16,
    max_position_embeddings=64,
    initializer_range=0.25,
    bos_token_id=1,
    eos_token_id=2,
    attn_implementation="eager",
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=16,
)
QUANTIZED = {
    "token_embd": Kind.Q8_0,
    "attn_q": Kind.Q8_0,
    "attn_k": Kind.Q4_0,
    "attn_v": Kind.F16,
    "attn_output": Kind.Q4_1,
    "ffn_gate": Kind.Q5_0,
    "ffn_up": Kind.Q5_1,
    "ffn_down": Kind.BF16,
    "output": Kind.Q8_0,
}
MODELS = {
    "llama3-quantized": ("Llama", dict(rope_parameters=LLAMA3, tie_word_embeddings=False)),
    "llama-linear-biases": (
        "Llama",
        dict(
            rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
        ),
    ),
    "mixtral": (
        "Mixtral",
        dict(
            num_local_experts=3,
            num_experts_per_tok=2,
            tie_word_embeddings=False,
            # The other implementation has no float64.
            experts_implementation="eager",
        ),
    ),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True)),
    "qwen3": ("Qwen3", dict(tie_word_embeddings=False)),
    "gemma": ("Gemma", dict()),
    "gemma2": ("Gemma2", dict(num_hidden_layers=2, sliding_window=8, query_pre_attn_scalar=16)),
}


def permute(weights, heads):
    """`LlamaModel.permute` of llama.cpp's convert_hf_to_gguf.py."""
    shape = weights.shape
    return weights.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def llama3_factors(config):
    """`LlamaModel.generate_extra_tensors` of llama.cpp's convert_hf_to_gguf.py."""
    rope, dim = config.rope_parameters, config.head_dim
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = []
    for i in range(0, dim, 2):
        wavelength = 2 * math.pi * rope["rope_theta"] ** (i / dim)
        if wavelength < high:
            factors.append(1.0)
        elif wavelength > low:
            factors.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / wavelength - rope["low_freq_factor"]) / (
                rope["high_freq_factor"] - rope["low_freq_factor"]
            )
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def write_settings(writer, config):
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    if config.model_type == "mixtral":
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if config.model_type == "gemma2":
        writer.add_sliding_window(config.sliding_window)
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)


def stored(model):
    """llama.cpp's names and elements of a model's tensors."""
    config = model.config
    architecture = "llama" if config.model_type == "mixtral" else config.model_type
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        weights = tensor.float().numpy()
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.endswith("mlp.experts.gate_up_proj"):
            layer = name.split(".")[2]
            gate, up = np.split(weights, 2, axis=1)
            yield f"blk.{layer}.ffn_gate_exps.weight", gate
            yield f"blk.{layer}.ffn_up_exps.weight", up
            continue
        if name.endswith("mlp.experts.down_proj"):
            yield f"blk.{name.split('.')[2]}.ffn_down_exps.weight", weights
            continue
        mapped = names.get_name(name.replace("mlp.gate.", "block_sparse_moe.gate."), try_suffixes=(".weight", ".bias"))
        assert mapped, name
        if architecture == "llama" and ".attn_q." in mapped:
            weights = permute(weights, config.num_attention_heads)
        if architecture == "llama" and ".attn_k." in mapped:
            weights = permute(weights, config.num_key_value_heads)
        if architecture.startswith("gemma") and mapped.endswith("norm.weight"):
            weights = weights + 1
        yield mapped, weights


def rounded(model):
    """Replaces weights by what quantizing and dequantizing leaves of them; the type of each, by llama.cpp's name."""
    kinds = {}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    for name, tensor in model.state_dict().items():
        mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
        kind = QUANTIZED.get(mapped.split(".")[-2])
        if kind is not None:
            kinds[mapped] = kind
            # Blocks lie along rows, so that the order of rows does not matter.
            tensor.copy_(torch.from_numpy(gguf.dequantize(gguf.quantize(tensor.numpy(), kind), kind)))
    return kinds


def make(name, family, settings, generator):
    config_class = getattr(transformers, f"{family}Config")
    model_class = getattr(transformers, f"{family}ForCausalLM")
    model = model_class(config_class(**(SHAPE | settings))).eval()
    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            # Norms and biases too: as made they are ones and zeros.
            if tensor.dim() == 1 and tensor.is_floating_point():
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
        kinds = rounded(model) if name.endswith("quantized") else {}
    config = model.config
    architecture = "llama" if config.model_type == "mixtral" else config.model_type
    writer = gguf.GGUFWriter(HERE / f"{name}.gguf", architecture)
    write_settings(writer, config)
    for tensor, weights in stored(model):
        weights = np.ascontiguousarray(weights)
        kind = kinds.get(tensor)
        if kind is None:
            writer.add_tensor(tensor, weights)
        else:
            writer.add_tensor(tensor, gguf.quantize(weights, kind), raw_dtype=kind)
    if config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return log_probs(model.double(), generator)


def log_probs(model, generator):
    rows = []
    for length in (5, 17, 40):
        tokens = torch.randint(0, SHAPE["vocab_size"], (length,), generator=generator)
        with torch.no_grad():
            logits = model(tokens[None]).logits[0].log_softmax(-1)
        picked = logits[:-1].gather(1, tokens[1:, None])[:, 0]
        rows.append(dict(tokens=tokens.tolist(), log_probs=[round(x, 7) for x in picked.tolist()]))
    return rows


def quants():
    """A row of two blocks of each k-quant, as tensors of a model that cannot run."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(HERE / "quants.gguf", "llama")
    config = transformers.LlamaConfig(**(SHAPE | dict(hidden_size=512)))
    write_settings(writer, config)
    writer.add_tensor("token_embd.weight", np.zeros((2, 512), dtype=np.float32))
    expected = {}
    parts = [
        ("ffn_gate", "mlp.gate_proj", Kind.Q2_K, [80, 82]),
        ("ffn_up", "mlp.up_proj", Kind.Q3_K, [108]),
        ("ffn_down", "mlp.down_proj", Kind.Q4_K, [0, 2]),
        ("attn_v", "self_attn.v_proj", Kind.Q5_K, [0, 2]),
        ("attn_output", "self_attn.o_proj", Kind.Q6_K, [208]),
    ]
    for tensor, name, kind, scales in parts:
        size = gguf.GGML_QUANT_SIZES[kind][1]
        blocks = random.integers(0, 256, (2, size), dtype=np.uint8)
        for at in scales:
            scale = random.normal(0, 0.1, (2, 1)).astype(np.float16)
            blocks[:, at : at + 2] = scale.view(np.uint8)
        blocks = blocks.reshape(1, 2 * size)
        writer.add_tensor(f"blk.0.{tensor}.weight", blocks, raw_dtype=kind)
        expected[f"model.layers.0.{name}.weight"] = [float(str(x)) for x in gguf.dequantize(blocks, kind).ravel()]
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (HERE / "quants.json").write_text(json.dumps(expected))


def main():
    expected = {}
    for seed, (name, (family, settings)) in enumerate(MODELS.items()):
        torch.manual_seed(seed)
        expected[name] = make(name, family, settings, torch.Generator().manual_seed(seed))
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in expected.items())
    (HERE / "log_probs.json").write_text("{\n" + lines + "\n}\n")
    quants()


main()
