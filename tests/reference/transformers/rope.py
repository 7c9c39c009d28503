"""Inverse frequencies and attention factors of transformers' rotary embeddings, for rope.json.

    pip install torch==2.15.0 transformers==5.23.0

    python rope.py
"""

import importlib.metadata
import json
import pathlib

import torch
import transformers as hf
from transformers.models.bloom.modeling_bloom import _get_alibi_slopes
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

assert importlib.metadata.version("transformers") == "5.23.0"
BASE = dict(model_type="llama", vocab_size=32, hidden_size=64, intermediate_size=12, num_hidden_layers=1,
            num_attention_heads=4, max_position_embeddings=4096)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=1024)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=1024)

CASES = {
    "absent": {},
    "theta": dict(rope_theta=500000.0),
    "theta-5": dict(rope_parameters=dict(rope_type="default", rope_theta=500000.0)),
    "head-dim": dict(head_dim=40),
    "linear": dict(rope_scaling=dict(type="linear", factor=2.5)),
    "linear-5": dict(rope_parameters=dict(rope_type="linear", factor=2.5, rope_theta=20000.0)),
    "dynamic": dict(rope_scaling=dict(rope_type="dynamic", factor=4.0)),
    "llama3": dict(rope_theta=500000.0, rope_scaling=LLAMA3),
    "llama3-outer-original": dict(
        rope_theta=500000.0, rope_scaling=LLAMA3, original_max_position_embeddings=2048),
    "yarn": dict(rope_scaling=YARN),
    "yarn-5": dict(rope_parameters=dict(YARN, rope_theta=1000000.0)),
    "yarn-no-original": dict(rope_scaling=dict(rope_type="yarn", factor=8.0)),
    "yarn-null-factor": dict(rope_scaling=dict(YARN, factor=None)),
    "yarn-betas": dict(rope_scaling=dict(YARN, beta_fast=16.0, beta_slow=2.0)),
    "yarn-attention-factor": dict(rope_scaling=dict(YARN, attention_factor=1.25)),
    "yarn-mscale": dict(rope_scaling=dict(YARN, mscale=0.7, mscale_all_dim=1.3)),
    "yarn-not-truncated": dict(rope_scaling=dict(YARN, truncate=False)),
    "both": dict(rope_parameters=dict(rope_type="linear", factor=3.0, rope_theta=20000.0),
                 rope_scaling=dict(rope_type="linear", factor=2.0)),
}


def case(settings):
    config = {**BASE, **settings}
    rotary = LlamaRotaryEmbedding(hf.LlamaConfig.from_dict(json.loads(json.dumps(config))))
    return dict(settings=settings, frequencies=rotary.inv_freq.tolist(), factor=float(rotary.attention_scaling))


lines = [f'"{name}": {json.dumps(case(settings))}' for name, settings in CASES.items()]
slopes = {heads: _get_alibi_slopes(heads, torch.device("cpu")).tolist() for heads in [1, 4, 6, 8, 12, 112]}
document = '{"base": %s,\n"cases": {\n%s\n},\n"alibi_slopes": %s}\n' % (
    json.dumps(BASE), ",\n".join(lines), json.dumps(slopes))
json.loads(document)
pathlib.Path(__file__).with_suffix(".json").write_text(document)
