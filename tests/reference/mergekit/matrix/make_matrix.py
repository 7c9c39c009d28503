"""Merges the tiny checkpoints of models/ with mergekit by every recipe of recipes/.

    pip install mergekit==0.1.5 torch==2.15.0 transformers==5.23.0 peft==0.21.2 && python make_matrix.py [--models]

For each recipe that mergekit can do, expected/ gets one safetensors file: mergekit's tensors as float32. Its metadata
`dtype` is a JSON object: the dtype mergekit stored most tensors in, as `*`, and by name that of each which differs.
summary.tsv has a row for every recipe:

    outcome   `ok`; `nan`: not all elements are finite; `unstable`: `rounding` is over 1e-3, so that another order of
              additions gives another result; `fails`: mergekit gave up, `note` has its words. Only `ok` has a file.
    dtype     of the stored tensors
    rounding  largest difference, as a share of the tensor's largest element, from mergekit's own result in float64
    note      of `ok`: tensors of the first model that are not in the result

Each merge is made twice, with two seeds, and must come out the same. --models makes models/ anew first.
"""

import argparse
import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from safetensors import safe_open
from safetensors.torch import load_file, save_file

PINNED = {"mergekit": "0.1.5", "transformers": "5.23.0", "peft": "0.21.2"}
for package, version in PINNED.items():
    assert importlib.metadata.version(package) == version, package
assert torch.__version__.startswith("2.15.0"), torch.__version__
HERE = Path(__file__).resolve().parent
COLUMNS = ["recipe", "method", "architecture", "outcome", "tensors", "dtype", "rounding", "sha256", "note"]
STORED = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def merge(recipe, adapters, seed, dtype=None):
    """mergekit's tensors by name; paths in the recipe are relative to this folder."""
    settings = yaml.safe_load(recipe.read_text())
    if dtype is not None:
        settings |= {"dtype": dtype, "out_dtype": None}
    options = MergeOptions(
        copy_tokenizer=False,
        quiet=True,
        write_model_card=False,
        allow_crimes=True,
        lora_merge_cache=adapters,
        random_seed=seed,
    )
    with tempfile.TemporaryDirectory() as out:
        run_merge(MergeConfiguration.model_validate(settings), out, options)
        return {name: tensor.clone() for name, tensor in load_file(Path(out) / "model.safetensors").items()}


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first
    )


def rounding(recipe, adapters, tensors):
    """See the module's text; None where the recipe asks for another arithmetic than float32."""
    settings = yaml.safe_load(recipe.read_text())
    if settings.get("dtype") != "float32" or "out_dtype" in settings:
        return None
    exact = merge(recipe, adapters, 1, dtype="float64")

    def share(name):
        scale = exact[name].abs().max().clamp(min=1e-30)
        return ((tensors[name].double() - exact[name]).abs().max() / scale).item()

    return max(map(share, tensors))


def save(tensors, path):
    """The file's sha256 and the dtype of most of its tensors."""
    dtypes = [STORED[tensor.dtype] for tensor in tensors.values()]
    most = max(sorted(set(dtypes)), key=dtypes.count)
    stored = {"*": most} | {name: dtype for name, dtype in zip(tensors, dtypes) if dtype != most}
    # One key only: safetensors writes several in any order, and the file's hash would change from run to run.
    metadata = {"dtype": json.dumps(stored, sort_keys=True)}
    save_file({name: tensors[name].float().contiguous() for name in sorted(tensors)}, path, metadata=metadata)
    return hashlib.sha256(path.read_bytes()).hexdigest(), most


def first_model(recipe):
    """Path of the first model named, without its adapter."""
    def search(value):
        if isinstance(value, dict):
            return value.get("model") or search(list(value.values()))
        if isinstance(value, list):
            return next((found for entry in value if (found := search(entry))), None)
        return None

    return HERE / search(yaml.safe_load(recipe.read_text())).split("+")[0]


def architecture(recipe):
    return yaml.safe_load((first_model(recipe) / "config.json").read_text())["architectures"][0]


def not_written(recipe, tensors):
    if "models" not in yaml.safe_load(recipe.read_text()):
        return ""
    stored = set()
    for path in first_model(recipe).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            stored |= set(file.keys())
    names = sorted(stored - set(tensors))
    return f"{len(names)} not written: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else ""


def reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' | '.join(lines)}"[:300]


def row(recipe, adapters):
    method = yaml.safe_load(recipe.read_text())["merge_method"]
    cells = {"recipe": recipe.stem, "method": method, "architecture": architecture(recipe)}
    try:
        tensors = merge(recipe, adapters, 1)
    except Exception as error:
        return cells | {"outcome": "fails", "note": reason(error)}
    assert same(tensors, merge(recipe, adapters, 2)), f"{recipe.stem} depends on the seed"
    cells |= {"tensors": len(tensors), "note": not_written(recipe, tensors)}
    broken = [name for name, tensor in tensors.items() if not tensor.float().isfinite().all()]
    if broken:
        return cells | {"outcome": "nan", "note": f"not finite in {len(broken)} tensors"}
    if (share := rounding(recipe, adapters, tensors)) is not None:
        cells["rounding"] = f"{share:.1e}"
        if share > 1e-3:
            return cells | {"outcome": "unstable"}
    sha256, dtype = save(tensors, HERE / "expected" / f"{recipe.stem}.safetensors")
    return cells | {"outcome": "ok", "dtype": dtype, "sha256": sha256}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", action="store_true", help="make models/ anew")
    if arguments.parse_args().models:
        from make_models import make_models

        make_models()
    os.chdir(HERE)
    logging.disable(logging.WARNING)
    transformers.logging.set_verbosity_error()
    shutil.rmtree("expected", ignore_errors=True)
    Path("expected").mkdir()
    table = ["\t".join(COLUMNS)]
    with tempfile.TemporaryDirectory() as adapters:
        for recipe in sorted(Path("recipes").glob("*.yaml")):
            cells = row(recipe, adapters)
            table.append("\t".join(str(cells.get(column, "")) for column in COLUMNS))
            print(table[-1], flush=True)
    Path("summary.tsv").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
