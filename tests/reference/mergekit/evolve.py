"""What mergekit-evolve makes of seeded genotypes; tests/evolve.rs compares with evolve.json, which this writes.

    pip install mergekit==0.1.5 && python evolve.py
"""

import importlib.metadata
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import yaml
from mergekit.evo.genome import ModelGenome, ModelGenomeDefinition

assert importlib.metadata.version("mergekit") == "0.1.5"
HERE = Path(__file__).resolve().parent
LAYERS = 6
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 8,
    "intermediate_size": 6,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 8,
}
TWO = {"models": ["ann", "zoe"], "base_model": "base"}
DEFINITIONS = [
    {"models": ["ann", "zoe"], "merge_method": "linear"},
    {"models": ["base", "ann"], "base_model": "base", "merge_method": "linear", "layer_granularity": 2},
    {**TWO, "merge_method": "task_arithmetic", "allow_negative_weights": True, "layer_granularity": 3},
    {**TWO, "merge_method": "task_arithmetic", "normalize": True, "filters": ["mlp"]},
    {**TWO, "merge_method": "ties", "layer_granularity": 2, "filters": ["self_attn", "mlp"]},
    {**TWO, "merge_method": "ties", "layer_granularity": 2, "smooth": True, "filters": ["q_proj", "attn"]},
    {**TWO, "merge_method": "dare_ties", "layer_granularity": 6, "smooth": True, "normalize": False},
    {"models": ["ann", "base", "zoe"], "base_model": "base", "merge_method": "dare_ties", "layer_granularity": 3},
    {"models": ["ann", "zoe", "bob"], "merge_method": "slerp", "layer_granularity": 2},
    {"models": ["ann", "zoe"], "merge_method": "slerp"},
]


def case(definition, seed):
    genome = ModelGenome(ModelGenomeDefinition.model_validate(definition))
    start = genome.initial_genotype()
    numbers = np.random.Generator(np.random.PCG64(seed))
    genotype = np.round(numbers.uniform(-1.5, 1.5, size=start.shape), 3)
    config = genome.genotype_merge_config(genotype)
    return {
        "definition": definition,
        "layers": LAYERS,
        "start": start.numpy().round(6).tolist(),
        "genotype": genotype.tolist(),
        "config": yaml.safe_load(config.to_yaml()),
    }


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for model in ["ann", "zoe", "bob", "base"]:
        Path(model).mkdir()
        Path(model, "config.json").write_text(json.dumps(CONFIG))
    cases = [case(definition, seed) for seed, definition in enumerate(DEFINITIONS)]
lines = ",\n".join(json.dumps(entry) for entry in cases)
(HERE / "evolve.json").write_text(f"[\n{lines}\n]\n")
