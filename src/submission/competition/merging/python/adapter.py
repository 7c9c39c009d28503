import functools
import json
import os
import re

from safetensors import safe_open

MARKS = ("lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")


def read_tensor(model, name):
    """A model's tensor with its adapter on it, as PEFT merges the two."""
    folder, adapter = model_folder(model), RECIPE["models"][model]["adapter"]
    weight = stored_tensor(folder, name)
    if adapter is None:
        return weight
    own = snapshot(adapter["repository"], adapter["revision"])
    parts = adapter_parts(own)
    target = next((key for key in (name, f"*.{name}", name.partition(".")[2]) if key in parts), None)
    return weight if target is None else changed(weight, folder, own, parts[target])


@functools.lru_cache(maxsize=None)
def adapter_parts(folder):
    """For every weight that an adapter changes, the names of its parts; also without the first word of the weight."""
    parts = {}
    with safe_open(os.path.join(folder, "adapter_model.safetensors"), framework="pt") as file:
        for key in file.keys():
            part, weight = place(key)
            if part is not None:
                parts.setdefault(weight, {})[part] = key
    return {f"*.{weight.partition('.')[2]}": own for weight, own in parts.items()} | parts


def place(key):
    """What a tensor of an adapter is, and the weight of the model that it belongs to."""
    words = key.removeprefix("base_model.model.").split(".")
    mark = max((i for i, word in enumerate(words) if word in MARKS), default=None)
    if mark is not None:
        bias = words[-1] == "bias"
        return "bias" if bias else words[mark], ".".join(words[:mark] + ["bias" if bias else "weight"])
    if "original_module" in words:
        return None, None
    words = [word for word in words if word != "base_layer"]
    if "modules_to_save" in words:
        at = words.index("modules_to_save")
        del words[at : at + (2 if len(words) > at + 2 else 1)]
    return "whole", ".".join(words)


def changed(weight, folder, adapter, parts):
    """A weight as the adapter's parts change it."""
    with safe_open(os.path.join(adapter, "adapter_model.safetensors"), framework="pt") as file:
        parts = {part: (key, file.get_tensor(key).float()) for part, key in parts.items()}
    if "whole" in parts:
        weight = parts["whole"][1]
    if "bias" in parts:
        key, bias = parts["bias"]
        return weight + scaling(adapter, key) * bias
    for a, b in (MARKS[:2], MARKS[2:]):
        if a in parts:
            key, product = parts[a][0], parts[b][1] @ parts[a][1]
            square = product.shape[0] == product.shape[1]
            turned = "embedding" in a or product.shape != weight.shape or (square and is_transposed(folder, adapter))
            weight = weight + scaling(adapter, key) * (product.T if turned else product)
    return weight


@functools.lru_cache(maxsize=None)
def adapter_config(folder):
    with open(os.path.join(folder, "adapter_config.json"), encoding="utf-8") as file:
        return json.load(file)


def scaling(adapter, key):
    """What the product of the factors is multiplied with, by PEFT's patterns."""
    config, module = adapter_config(adapter), re.split(r"\.lora_", key.removeprefix("base_model.model."))[0]
    rank, alpha = config.get("r", 8), config.get("lora_alpha", 8)
    for pattern, own in reversed((config.get("rank_pattern") or {}).items()):
        rank = own if re.fullmatch(rf"(.*\.)?({pattern})", module) else rank
    for pattern, own in reversed((config.get("alpha_pattern") or {}).items()):
        alpha = own if re.fullmatch(rf"(.*\.)?({pattern})", module) else alpha
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


@functools.lru_cache(maxsize=None)
def is_transposed(folder, adapter):
    """Whether square weights are stored as [in, out], as GPT-2's: the other weights and their biases tell."""
    shapes = {}
    for name, path in weight_files(folder).items():
        with safe_open(path, framework="pt") as file:
            shapes[name] = tuple(file.get_slice(name).get_shape())
    pairs = ((shape, shapes.get(re.sub("weight$", "bias", name))) for name, shape in shapes.items())
    turned = any(len(shape) == 2 and shape[0] != shape[1] and bias == shape[1:] for shape, bias in pairs)
    return turned or bool(adapter_config(adapter).get("fan_in_fan_out"))
