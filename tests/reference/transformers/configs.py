"""The defaults of transformers' config classes, for configs.json.

    pip install torch==2.15.0 transformers==5.23.0

    python configs.py
"""

import importlib.metadata
import json
import pathlib

from transformers import AutoConfig

assert importlib.metadata.version("transformers") == "5.23.0"
FAMILIES = ["llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma", "gemma2",
            "gpt2", "bloom", "t5", "mt5", "bart", "bert", "albert"]
WITHOUT = {"transformers_version", "id2label", "label2id", "_name_or_path"}


def defaults(family):
    config = AutoConfig.for_model(family).to_dict()
    return {key: value for key, value in sorted(config.items()) if key not in WITHOUT}


lines = [f'"{family}": {json.dumps(defaults(family))}' for family in FAMILIES]
pathlib.Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
