"""Wall time, processor time and memory of `mergekit-yaml` and `merge-search merge` on the same four recipes.

    pip install mergekit==0.1.5 && python speed.py target/release/merge-search FOLDER --repeats 5 --json speed.json

FOLDER gets a base and four experts of 110 M parameters (Llama layout, bfloat16, 219 MB each), made on the first call.
Both programs run as fresh processes, in turn, on warm inputs; mergekit from this interpreter's own environment. The
row `start` is each program printing its version or help: what is left of a time without it is the merge itself.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

assert importlib.metadata.version("mergekit") == "0.1.5"
HIDDEN, INNER, VOCAB, LAYERS, HEADS = 768, 2048, 32000, 12, 12
EXPERTS = ["a", "b", "c", "d"]
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "vocab_size": VOCAB,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}
MEASURES = {"wall": "wall s", "cpu": "user+sys s", "peak": "peak MiB"}


def shapes():
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{prefix}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN)
        yield prefix + "mlp.gate_proj.weight", (INNER, HIDDEN)
        yield prefix + "mlp.up_proj.weight", (INNER, HIDDEN)
        yield prefix + "mlp.down_proj.weight", (HIDDEN, INNER)
        yield prefix + "input_layernorm.weight", (HIDDEN,)
        yield prefix + "post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)


def make_model(folder, seed, near=None):
    """Weights of standard deviation 0.02 (1 ± 0.02 in norms); an expert is the base plus a tenth of that."""
    numbers = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes():
        noise = torch.randn(shape, generator=numbers)
        centre = 1.0 if name.endswith("norm.weight") else 0.0
        fresh = centre + 0.02 * noise if near is None else near[name].float() + 0.002 * noise
        weights[name] = fresh.bfloat16()
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    return weights


def make_models(folder):
    if (folder / "d" / "config.json").exists():
        return
    for name in ["base", *EXPERTS]:
        shutil.rmtree(folder / name, ignore_errors=True)
    base = make_model(folder / "base", 0)
    for seed, name in enumerate(EXPERTS, start=1):
        make_model(folder / name, seed, near=base)


def write_recipes(folder):
    models = [{"model": str(folder / name)} for name in EXPERTS]
    base = {"base_model": str(folder / "base")}
    quarter = {"weight": 0.25}
    half = {"weight": 0.25, "density": 0.5}
    recipes = {
        "linear": {"merge_method": "linear", "parameters": quarter},
        "task_arithmetic": {"merge_method": "task_arithmetic", **base, "parameters": quarter},
        "ties": {"merge_method": "ties", **base, "parameters": half},
        "dare_ties": {"merge_method": "dare_ties", **base, "parameters": half},
    }
    paths = {}
    for name, recipe in recipes.items():
        paths[name] = folder / f"{name}.yaml"
        paths[name].write_text(yaml.safe_dump(recipe | {"models": models, "dtype": "bfloat16"}, sort_keys=False))
    return paths


def commands(recipes, program, out):
    """Row of the table → program → command line."""
    mergekit = str(Path(sys.executable).parent / "mergekit-yaml")
    rows = {"start": {"mergekit": [mergekit, "--help"], "ours": [program, "--version"]}}
    for name, recipe in recipes.items():
        rows[name] = {
            # There is no tokenizer to copy, and looking for one would be counted.
            "mergekit": [mergekit, str(recipe), str(out), "--allow-crimes", "--no-copy-tokenizer"],
            "ours": [program, "merge", str(recipe), "-o", str(out)],
        }
    if program is None:
        for row in rows.values():
            del row["ours"]
    return rows


def measure(command, out, log):
    shutil.rmtree(out, ignore_errors=True)
    os.sync()
    with open(log, "wb") as stream:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | {"HF_HUB_OFFLINE": "1"})
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {child.returncode}\n{Path(log).read_text()[-2000:]}")
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


def warm(folder):
    for path in sorted(folder.glob("*/model.safetensors")):
        with open(path, "rb") as stream:
            while stream.read(1 << 24):
                pass


def summary(runs):
    """Median, least and largest of each measure, and mergekit's median over ours."""
    rows = {}
    for name, programs in runs.items():
        rows[name] = {}
        for program, measured in programs.items():
            columns = {key: [run[key] for run in measured] for key in MEASURES}
            rows[name][program] = {
                key: {"median": statistics.median(values), "min": min(values), "max": max(values)}
                for key, values in columns.items()
            }
        if "ours" in programs:
            rows[name]["mergekit/ours"] = {
                key: rows[name]["mergekit"][key]["median"] / rows[name]["ours"][key]["median"] for key in MEASURES
            }
    return rows


def show(rows):
    print(f"{'recipe':<16} {'program':<13} " + " ".join(f"{title:>26}" for title in MEASURES.values()))
    for name, programs in rows.items():
        for program, measured in programs.items():
            cells = [
                f"{value:.1f} x" if isinstance(value, float)
                else f"{value['median']:.2f} ({value['min']:.2f}-{value['max']:.2f})"
                for value in measured.values()
            ]
            print(f"{name:<16} {program:<13} " + " ".join(f"{cell:>26}" for cell in cells))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", nargs="?", help="merge-search, as built in release mode")
    arguments.add_argument("folder", type=Path, help="where models, recipes and outputs lie (1.4 GB)")
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--only-mergekit", action="store_true", help="leave out merge-search")
    arguments.add_argument("--json", type=Path, help="also write every run and the table's figures here")
    options = arguments.parse_args()
    if options.program is None and not options.only_mergekit:
        arguments.error("PROGRAM is missing (or --only-mergekit)")
    folder = options.folder.resolve()
    make_models(folder)
    out = folder / "merged"
    rows = commands(write_recipes(folder), None if options.only_mergekit else options.program, out)
    warm(folder)
    runs = {name: {program: [] for program in row} for name, row in rows.items()}
    for _ in range(options.repeats):
        for name, row in rows.items():
            for program, command in row.items():
                runs[name][program].append(measure(command, out, folder / "log.txt"))
    shutil.rmtree(out, ignore_errors=True)
    table = summary(runs)
    show(table)
    if options.json is not None:
        machine = {"machine": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
        machine |= {name: importlib.metadata.version(name) for name in ("mergekit", "torch", "transformers")}
        options.json.write_text(json.dumps({"on": machine, "summary": table, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
