"""Runs exported merging code and compares it with our merges; see tests/competition_merging.rs.

    python tests/kit_interface/merging.py FOLDER [--check]

Writes merging.json beside this file unless --check is given. Any versions of torch, huggingface_hub and safetensors that
the starter kit runs with (2.x, 0.22+, 0.4+) and later ones give the same file but for the last digits.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path

TOLERANCE = 1e-6
# What goes into merging.json; the others are compared here only, to keep the file small.
KEPT = """
adapter-b-bias adapter-conv adapter-embedding adapter-patterns adapter-rslora adapter-saved arcee-fusion breadcrumbs
breadcrumbs-ties-all-settings dare-linear-density dare-linear-plain dare-ties-norm della-density della-linear-norm
expert-choice geometric-median geometric-median-outweighed gpt2-model-stock karcher linear-four-levels linear-lora
linear-tied-with-stored-head lora-unequal-ranks mixture model-stock-filter-wise multislerp-base nearswap
nuslerp-base-columns nuslerp-rows passthrough-frankenmerge qwen2-task-arithmetic ram ramplus-tl-settings routes sce
sce-topk slerp-far slices-of-other-layers t5-modules-skip-layer t5-optional-missing-linear t5-ties ties-tied ties-two-loras
""".split()


def module_of(path):
    spec = importlib.util.spec_from_file_location("exported", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(tensor):
    flat = tensor.double().flatten()
    singles = [flat[len(flat) // 2].item(), flat[-1].item()]
    return [float(f"{x:.9g}") for x in (flat.sum().item(), (flat * flat).sum().item(), *singles)]


def difference(name, ours, python):
    """Largest difference of an element of a merge."""
    if ours.keys() != python.keys():
        raise SystemExit(f"{name}: tensors {sorted(ours.keys() ^ python.keys())}")
    worst = 0.0
    for tensor, values in ours.items():
        if values.shape != python[tensor].shape:
            raise SystemExit(f"{name}: {tensor} has shape {python[tensor].shape}, ours {values.shape}")
        if values.numel():
            worst = max(worst, ((values - python[tensor]).abs() / values.abs().clamp(min=1)).max().item())
    return worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    os.environ.update(HF_HUB_CACHE=str(arguments.folder / "hub"), HF_HUB_OFFLINE="1")
    from safetensors.torch import load_file

    results, failed, worst = {}, [], 0.0
    for path in sorted(arguments.folder.glob("*.py")):
        try:
            module, merged, merges = module_of(path), {}, []
            for merge in range(len(module.RECIPE["merges"])):
                merged |= dict(module.merged_tensors(merge))
                ours = load_file(arguments.folder / f"{path.stem}.{merge}.safetensors")
                apart = difference(path.stem, ours, merged)
                worst = max(worst, apart)
                if not apart <= TOLERANCE:
                    failed.append(f"{path.stem}: {apart:.2e}")
                merges.append([numbers(tensor) for _, tensor in sorted(merged.items())])
        except Exception as error:
            failed.append(f"{path.stem}: {error!r}")
            continue
        if path.stem in KEPT:
            results[path.stem] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "merges": merges}
    print(f"largest difference {worst:.2e}, {len(results)} of {len(KEPT)} cases kept, failed {len(failed)}:", *failed, sep="\n")
    if not arguments.check and not failed:
        lines = (f"{json.dumps(name)}: {json.dumps(result, separators=(',', ':'))}" for name, result in results.items())
        Path(__file__).with_suffix(".json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
