import functools
import json
import os

from huggingface_hub import snapshot_download
from safetensors import safe_open


@functools.lru_cache(maxsize=None)
def snapshot(repository, revision):
    """Folder of a commit, from the cache if it is there."""
    return snapshot_download(
        repository,
        revision=revision,
        allow_patterns=["*.safetensors", "*.json", "*.model", "*.txt", "*.jinja"],
        ignore_patterns=["*/*", "consolidated*"],
        token=os.environ.get("HF_AUTH_TOKEN") or None,
    )


def model_folder(model):
    """Folder of a model of the recipe, without its adapter."""
    entry = RECIPE["models"][model]
    return snapshot(entry["repository"], entry["revision"])


@functools.lru_cache(maxsize=None)
def weight_files(folder):
    """The file of every tensor."""
    index = os.path.join(folder, "model.safetensors.index.json")
    single = os.path.join(folder, "model.safetensors")
    if os.path.exists(single):
        with safe_open(single, framework="pt") as file:
            return dict.fromkeys(file.keys(), single)
    with open(index, encoding="utf-8") as file:
        return {name: os.path.join(folder, part) for name, part in json.load(file)["weight_map"].items()}


def stored_tensor(folder, name):
    """A tensor as the file has it, in float32."""
    with safe_open(weight_files(folder)[name], framework="pt") as file:
        return file.get_tensor(name).float()
