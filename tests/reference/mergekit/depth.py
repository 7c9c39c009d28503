"""Models of chosen, skipped, repeated, moved and scaled layers, by mergekit; tests/depth.rs compares with depth.json.

    pip install mergekit==0.1.5 torch==2.15.0 transformers==5.23.0 && python depth.py

Two kinds of cases, both of the quickstart's models. `passthrough` are recipes of slices, written by hand, that mergekit
merges. `assembled` are the space's plain recipe over whole models, with gradients, merged by mergekit; its layers, or an
expert's, are then put together here, tensor by tensor, and output projections multiplied. depth.json has, per case, the
space's tables, the genes that stand for the case, some elements of every tensor, and the
log-probabilities that transformers gives to a line of text.
"""

import importlib.metadata
import json
import tempfile
from pathlib import Path

import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

assert importlib.metadata.version("mergekit") == "0.1.5"
assert importlib.metadata.version("transformers") == "5.23.0"
HERE = Path(__file__).resolve().parent
FAMILY = HERE.parents[2] / "search-spaces" / "quickstart"
EXPERTS = ["arithmetic", "logic", "strings", "agreement"]
LAYERS, TOKENS, STRIDE = 5, [1, 40, 77, 12, 200, 33, 5, 91, 150, 64, 2, 18], 997


def merged(recipe: dict) -> dict:
    """mergekit's output, tensor by name."""
    configuration = MergeConfiguration.model_validate(yaml.safe_load(yaml.safe_dump(recipe)))
    with tempfile.TemporaryDirectory() as out:
        run_merge(configuration, out, MergeOptions(copy_tokenizer=False))
        config = json.loads((Path(out) / "config.json").read_text())
        tensors = {}
        for file in Path(out).glob("*.safetensors"):
            tensors.update(load_file(file))
    tensors.pop("lm_head.weight", None)
    return tensors, config["num_hidden_layers"]


def entry(name: str, **parameters) -> dict:
    return {"model": str(FAMILY / name), "parameters": parameters}


def assembled(plain: dict, blocks: list) -> dict:
    """`blocks`: (layer, model or None for the merged one, factor on the output projections)."""
    whole, _ = merged(plain)
    found = {name: tensor for name, tensor in whole.items() if ".layers." not in name}
    for place, (layer, model, factor) in enumerate(blocks):
        source = whole if model is None else load_file(FAMILY / model / "model.safetensors")
        for name, tensor in source.items():
            prefix = f"model.layers.{layer}."
            if name.startswith(prefix):
                scaled = factor if "o_proj" in name or "down_proj" in name else 1.0
                found[f"model.layers.{place}." + name[len(prefix):]] = tensor * scaled
    return found, len(blocks)


def taken(name: str, layer: int, factor: float = 1.0) -> dict:
    scale = [{"filter": "o_proj", "value": factor}, {"filter": "down_proj", "value": factor}, {"value": 1.0}]
    source = {"model": str(FAMILY / name), "layer_range": [layer, layer + 1], "parameters": {"scale": scale}}
    return {"sources": [source]}


def cases():
    """name, [merge], [parameters], [routing.layers], genes, (tensors, number of layers)."""
    owners = ["agreement", "logic", "strings", "logic", "arithmetic"]
    yield ("passthrough", 'methods = ["passthrough"]\nlayer_granularity = 1', "",
           'depth = ["keep", "skip", "repeat", "swap"]\nscale = { range = [0.5, 1.5] }',
           {f"owner.{i}": owner for i, owner in enumerate(owners)}
           | {"depth.0": "keep", "depth.1": "skip", "depth.2": "repeat", "depth.3": "swap", "depth.4": "keep"}
           | {"scale.0": 1.25, "scale.1": 0.9, "scale.2": 1.0, "scale.3": 1.0, "scale.4": 0.7},
           merged({"merge_method": "passthrough", "dtype": "float32", "slices": [
               taken("agreement", 0, 1.25), taken("strings", 2), taken("strings", 2), taken("arithmetic", 4, 0.7),
               taken("logic", 3)]}))
    yield ("passthrough blocks of two", 'methods = ["passthrough"]\nlayer_granularity = 1', "",
           'layers_per_block = 2\ndepth = ["repeat", "keep", "swap"]',
           {f"owner.{i}": owner for i, owner in enumerate(owners)}
           | {"depth.0": "repeat", "depth.1": "swap", "depth.2": "keep"},
           merged({"merge_method": "passthrough", "dtype": "float32", "slices": [
               taken("agreement", 0), taken("logic", 1), taken("agreement", 0), taken("logic", 1),
               taken("arithmetic", 4), taken("strings", 2), taken("logic", 3)]}))

    # Attention and MLP differ from the rest and along the depth: two points for each expert and group.
    points = {name: [[0.1 + 0.2 * e, 1.0 - 0.2 * e], [0.7, 0.3 + 0.1 * e], [0.5 - 0.1 * e, 0.2 + 0.2 * e]]
              for e, name in enumerate(EXPERTS)}
    genes = {f"weight.{name}.{group}.{point}": points[name][g][point]
             for name in EXPERTS for g, group in enumerate(["attention", "mlp", "rest"]) for point in range(2)}
    weights = {name: [{"filter": "self_attn", "value": p[0]}, {"filter": "mlp", "value": p[1]}, {"value": p[2]}]
               for name, p in points.items()}
    merge = 'groups = ["attention", "mlp"]\ncontrol_points = 2'
    weight = 'weight = { range = [0.0, 1.5], per = ["expert", "group", "depth"] }'
    for method, more, top in (
        ("task_arithmetic", "lambda = { range = [0.0, 2.0], per = [\"depth\"] }\nnormalize = false",
         {"lambda": [0.8, 1.3], "normalize": False}),
        ("ties", "density = { range = [0.2, 1.0] }", {"density": 0.6}),
    ):
        fit = {"lambda.0": 0.8, "lambda.1": 1.3} if method == "task_arithmetic" else {"density": 0.6}
        plain = {"merge_method": method, "base_model": str(FAMILY / "base"), "dtype": "float32", "parameters": top,
                 "models": [entry(name, weight=weights[name]) for name in EXPERTS]}
        for first, blocks in (
            ("merged", [(0, None, 1.0), (3, None, 1.0), (2, "logic", 1.0)]),
            ("strings", [(0, "strings", 1.0), (3, None, 1.0), (2, "base", 1.0)]),
        ):
            third = "logic" if first == "merged" else "base"
            yield (f"{method} from {first}", f'methods = ["{method}"]\n{merge}', f"{weight}\n{more}",
                   'choose_source = true\ndepth = ["keep", "skip", "swap"]',
                   genes | fit | {"source.0": first, "source.2": third, "depth.0": "keep", "depth.1": "skip",
                                  "depth.2": "swap", "depth.3": "keep", "depth.4": "skip", "source.1": "base", "source.3": "merged", "source.4": "logic"},
                   assembled(plain, blocks))
    plain = {"merge_method": "linear", "dtype": "float32",
             "models": [entry(name, weight=weights[name]) for name in EXPERTS]}
    yield ("linear scaled", f'methods = ["linear"]\n{merge}', weight,
           'choose_source = true\nscale = { range = [0.5, 1.5] }\ndepth = ["keep", "repeat", "skip"]',
           genes | {f"source.{i}": source for i, source in enumerate(["merged", "base", "merged", "logic", "base"])}
           | {f"scale.{i}": scale for i, scale in enumerate([0.9, 1.1, 0.6, 1.4, 1.0])}
           | {"depth.0": "keep", "depth.1": "skip", "depth.2": "repeat", "depth.3": "keep", "depth.4": "keep"},
           assembled(plain, [(0, None, 0.9), (2, None, 0.6), (2, None, 0.6), (3, "logic", 1.4), (4, "base", 1.0)]))


def log_probabilities(tensors: dict, layers: int) -> list:
    config = json.loads((FAMILY / "base" / "config.json").read_text()) | {"num_hidden_layers": layers}
    model = LlamaForCausalLM(LlamaConfig(**config)).eval()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected, (missing, unexpected)
    model.tie_weights()
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0].double().log_softmax(-1)
    return [logits[i, token].item() for i, token in enumerate(TOKENS[1:])]


def some(tensor: torch.Tensor) -> list:
    return tensor.flatten()[:: STRIDE if tensor.numel() > 80 else 16].tolist()


def main():
    found = []
    for name, merge, parameters, routing, genes, (tensors, layers) in cases():
        found.append({"name": name, "merge": merge, "parameters": parameters, "routing": routing, "genes": genes,
                      "layers": layers, "tensors": {key: some(tensors[key]) for key in sorted(tensors)},
                      "log_probs": log_probabilities(tensors, layers)})
    (HERE / "depth.json").write_text(json.dumps({"tokens": TOKENS, "stride": STRIDE, "cases": found}) + "\n")


main()
