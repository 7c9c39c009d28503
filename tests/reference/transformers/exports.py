"""Merges tiny models of every known family with the program, and loads what it wrote in transformers.

    pip install torch==2.15.0 transformers==5.23.0 peft==0.21.2 safetensors

    python exports.py PROGRAM [KEEP_DIR]

PROGRAM is a built `merge-search`; KEEP_DIR keeps models, recipes and merged checkpoints for a look at them. Every export
must load without missing, unexpected or mismatched keys, with every stored tensor in its place, and give finite logits
(see `check` in architectures.py); cut models must have the layers that were asked for; adapters must come out as PEFT's
own `merge_and_unload` has them. ALBERT's layers share their tensors: cutting it must be refused. Prints a table; exit
code 1 if anything failed.
"""

import contextlib
import importlib.metadata
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

import architectures

assert importlib.metadata.version("peft") == "0.21.2"
VOCABULARY = pathlib.Path(__file__).resolve().parents[1] / "mergekit" / "vocabulary" / "models"
COUNTS = {"default": ("num_hidden_layers", "n_layer"),
          "encoder": ("encoder_layers", "num_layers"), "decoder": ("decoder_layers", "num_decoder_layers")}
ADAPTERS = {"llama": ["q_proj", "down_proj"], "gpt2": ["c_attn", "c_fc"], "qwen3": "all-linear"}


def whole(folder, method, weights, **parameters):
    """All of base (where it has no weight of its own, as base), expert-a and expert-b."""
    names = ["base", "expert-a", "expert-b"][-len(weights):]
    models = [{"model": str(folder / name), "parameters": {"weight": weight}} for name, weight in zip(names, weights)]
    base = {} if len(weights) == 3 else {"base_model": str(folder / "base")}
    return {"merge_method": method, "models": models, "parameters": parameters, **base}


def cut(folder, layers):
    """Output slices of one layer each, both experts' layer `i` averaged, for `i` in `layers`."""
    sources = lambda i: [{"model": str(folder / name), "layer_range": [i, i + 1], "parameters": {"weight": weight}}
                         for name, weight in [("expert-a", 0.7), ("expert-b", 0.3)]]
    return [{"sources": sources(i)} for i in layers]


def count(config, stack):
    return next(config[key] for key in COUNTS[stack] if key in config)


def layers_of(folder):
    """Stack → number of layers, by `config.json`."""
    config = json.loads((folder / "config.json").read_text())
    stacks = ("encoder", "decoder") if config.get("is_encoder_decoder") else ("default",)
    return {stack: count(config, stack) for stack in stacks}


def layered(folder, pick):
    """A linear merge with `pick(number of layers)` for the layers of every stack."""
    stacks = {stack: cut(folder, pick(layers)) for stack, layers in layers_of(folder / "base").items()}
    if "default" in stacks:
        return {"merge_method": "linear", "slices": stacks["default"]}
    modules = {stack: {"slices": slices} for stack, slices in stacks.items()}
    ends = {"models": [{"model": str(folder / "expert-a"), "parameters": {"weight": 1.0}}]}
    return {"merge_method": "linear", "modules": modules | {"shared": ends}}


def skipped_and_repeated(layers):
    """Leaves all but the first and the last layer out, and has the last several times: one layer more than there were."""
    return [0] + [layers - 1] * layers


def last_only(layers):
    return [layers - 1]


class Bench:
    def __init__(self, program, folder):
        self.program, self.folder, self.rows = program, folder, []

    def merge(self, model, what, recipe, *more):
        """Folder of the export and what the program said, or `None` and its last words."""
        path = self.folder / "recipes" / f"{model}-{what}.yaml"
        out = self.folder / "merged" / f"{model}-{what}"
        path.parent.mkdir(exist_ok=True)
        out.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"dtype": "float32"} | recipe, indent=1))
        done = subprocess.run([self.program, "merge", path, "-o", out, *more], capture_output=True, text=True)
        return (out if done.returncode == 0 else None), done.stderr.strip() or f"exit code {done.returncode}"

    def test(self, model, what, recipe, *more, then=lambda model, out: None):
        out, said = self.merge(model, what, recipe, *more)
        if out is None:
            return self.row(model, what, f"not merged: {said}")
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                fault = then(architectures.check(out), out)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        self.row(model, what, fault or "", said if said.startswith("note") else "")

    def refused(self, model, what, recipe):
        out, said = self.merge(model, what, recipe)
        self.row(model, what, "" if out is None else "merged, but should be refused", said)

    def row(self, model, what, fault, note=""):
        self.rows.append(fault)
        print(f"{model:30} {what:22} {'FAILED ' + fault if fault else 'ok'} {note}".rstrip(), flush=True)


def has_layers(pick, folder):
    expected = {stack: len(pick(layers)) for stack, layers in layers_of(folder / "base").items()}

    def then(_, out):
        got = layers_of(out)
        return None if got == expected else f"layers {got}, expected {expected}"
    return then


def is_bfloat16(_, out):
    named = json.loads((out / "config.json").read_text()).get("dtype")
    with safe_open(out / "model.safetensors", "pt") as file:
        wrong = [name for name in file.keys() if file.get_slice(name).get_dtype() != "BF16"]
    return None if named == "bfloat16" and not wrong else f"config.json says {named}; not bfloat16: {wrong}"


def is_sharded(_, out):
    return None if (out / "model.safetensors.index.json").exists() else "one file"


def family(bench, folder):
    name = folder.name
    bench.test(name, "linear", whole(folder, "linear", [0.5, 0.3, 0.4]))
    bench.test(name, "ties", whole(folder, "ties", [0.6, 0.7], density=0.5))
    bench.test(name, "task-arithmetic-bf16", {"out_dtype": "bfloat16"} | whole(folder, "task_arithmetic", [0.6, 0.7]),
               then=is_bfloat16)
    bench.test(name, "sharded", whole(folder, "linear", [0.5, 0.3, 0.4]), "--shard-size", "1k", then=is_sharded)
    for what, pick in [("skipped-and-repeated", skipped_and_repeated), ("last-layer-only", last_only)]:
        if not name.startswith("albert"):
            bench.test(name, what, layered(folder, pick), then=has_layers(pick, folder))
    if name.startswith("albert"):
        groups = architectures.MODELS[name][1].num_hidden_groups
        bench.refused(name, "groups-repeated", layered(folder, lambda _: skipped_and_repeated(groups)))
        # Slices that take all groups in their order are the whole model.
        bench.test(name, "groups-in-slices", layered(folder, lambda _: range(groups)))


def adapter(bench, folder, modules):
    """`base+adapter` alone must be PEFT's merge; with weight 0.5 half of the way."""
    base = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    torch.manual_seed(5)
    model = get_peft_model(base, LoraConfig(r=2, lora_alpha=6, target_modules=modules, task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    path = bench.folder / "adapters" / folder.name
    model.save_pretrained(path)
    original = AutoModelForCausalLM.from_pretrained(folder / "base", dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    after = PeftModel.from_pretrained(original, path).merge_and_unload().state_dict()
    moved = sum(not torch.equal(before[name], after[name]) for name in before)
    assert moved >= 4, moved

    def halfway(share):
        def then(model, out):
            expected = {name: before[name].lerp(after[name], share) for name in before}
            got = model.state_dict()
            worst = max((got[name] - expected[name]).abs().max().item() for name in expected)
            return None if set(got) == set(expected) and worst < 1e-6 else f"{worst:.1e} from PEFT's"
        return then

    expert = f"{folder / 'base'}+{path}"
    for share in (1.0, 0.5):
        models = [{"model": expert, "parameters": {"weight": share}}]
        recipe = {"merge_method": "task_arithmetic", "base_model": str(folder / "base"), "models": models}
        bench.test(folder.name, f"lora-{share}", recipe, then=halfway(share))


def embedded_words(name):
    """Tokens that have a row in the model's embedding; mergekit leaves out those of `b` that have none, too."""
    rows = json.loads((VOCABULARY / name / "config.json").read_text())["vocab_size"]
    tokenizer = AutoTokenizer.from_pretrained(VOCABULARY / name)
    return {word for word, id in tokenizer.get_vocab().items() if id < rows}


def union(bench):
    models = [{"model": str(VOCABULARY / name), "parameters": {"weight": 0.5}} for name in ("base", "a", "b")]

    def then(model, out):
        tokenizer = AutoTokenizer.from_pretrained(out)
        rows, config = model.get_input_embeddings().num_embeddings, model.config.vocab_size
        words = set().union(*map(embedded_words, ("base", "a", "b")))
        if words != set(tokenizer.get_vocab()):
            return f"vocabulary differs by {sorted(words ^ set(tokenizer.get_vocab()))}"
        if not max(tokenizer.get_vocab().values()) < rows == config:
            return f"{len(tokenizer)} tokens, {rows} rows, vocab_size {config}"
        ids = torch.tensor([sorted(tokenizer.get_vocab().values())[-4:]])
        return None if torch.isfinite(model(input_ids=ids).logits).all() else "logits not finite"

    bench.test("vocabulary", "union", {"merge_method": "linear", "models": models, "tokenizer_source": "union"}, then=then)


def main(program, folder):
    bench = Bench(program, folder)
    models = folder / "models"
    with contextlib.redirect_stderr(io.StringIO()):
        architectures.make(models)
    for name in architectures.MODELS:
        family(bench, models / name)
    for name, modules in ADAPTERS.items():
        adapter(bench, models / name, modules)
    union(bench)
    failed = sum(map(bool, bench.rows))
    print(f"{len(bench.rows)} exports, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    program = pathlib.Path(sys.argv[1]).resolve()
    if len(sys.argv) > 2:
        sys.exit(main(program, pathlib.Path(sys.argv[2]).resolve()))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(program, pathlib.Path(folder)))
