"""Parameters of the catalogue's models and adapters (src/engine/hub/known), as transformers and PEFT build them from the same configs.

python tests/reference/hub/catalogue.py, with the starter kit's transformers 4.39.3 and peft 0.10.0; writes catalogue.json beside it.
(transformers 5.23.0 and peft 0.21.0 count the same, but for FLAN-T5, whose output matrix 5 ties to the embedding.)
Models are made on the meta device, so that nothing is allocated or downloaded.
"""

import json
import pathlib
import tomllib

import peft
import torch
import transformers

HERE = pathlib.Path(__file__).parent
KNOWN = HERE.parents[2] / "src" / "hub" / "known"
# Not in the catalogue; of the same shape.
BASES = {"meta-llama/Llama-2-7b-chat-hf": "meta-llama/Llama-2-7b-hf"}


def build(config):
    architecture = getattr(transformers, config["architectures"][0])
    with torch.device("meta"):
        return architecture(architecture.config_class(**config))


def elements(parameters):
    """Tied tensors once, as `parameters()` yields them."""
    return sum(parameter.numel() for parameter in parameters)


def count(model, models):
    if "config" in model:
        return elements(build(model["config"]).parameters())
    base = build(models[BASES.get(model["base_model"], model["base_model"])]["config"])
    keys = ("r", "lora_alpha", "target_modules")
    config = peft.LoraConfig(**{key: model["adapter_config"][key] for key in keys if key in model["adapter_config"]})
    with torch.device("meta"):
        adapted = peft.get_peft_model(base, config)
    return elements(parameter for name, parameter in adapted.named_parameters() if "lora_" in name)


def main():
    files = sorted(KNOWN.glob("*.toml"))
    models = {model["id"]: model for file in files for model in tomllib.loads(file.read_text())["model"]}
    counts = {name: count(model, models) for name, model in sorted(models.items())}
    (HERE / "catalogue.json").write_text(json.dumps(counts, indent=2) + "\n")


main()
