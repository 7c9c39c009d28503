"""What transformers computes, position by position, with a tiny checkpoint of every family and config variant.

    pip install torch==2.15.0 transformers==5.23.0 safetensors

    python parity.py [CASE …]              writes parity/ anew (of these cases); the checks named below are assertions
    python parity.py --check [CASE …]      recomputes the values from the checkpoints in parity/ and compares
    python parity.py --float64 [CASE …]    prints how far float32 is from float64, per case and over all

The cases are in parity_cases.py. Parameters are random, none near what it starts at, and rounded to bfloat16: these are
stored, and everything is computed from the stored values in float32 on the CPU, attention "eager". Asserted besides:
nothing stored is left aside and nothing missing; attention "sdpa", batches with padding, generation with the cache and
without agree; two configs of the same tensors give the same values; a feature that a case shows, if ignored, changes
some log-probability by more than 0.01.

    parity/cases.json     [{"case", "kind", "model_type", "shows", "twin", "ignored"}], in the order of parity_cases.py
        kind       "decoder" | "encoder-decoder" | "masked-lm" | "classification"
        twin       case with the same tensors and the same expected values in spite of another config.json or other names; or null
        ignored    feature → largest change of a log-probability (of any stored one, natural units) if it is ignored
    parity/<case>/config.json, model.safetensors (bfloat16)
    parity/<case>/expected.json, by kind; all numbers float32 rounded to 7 significant digits, logarithms natural:

    "decoder"
        "sequences": [{"tokens": [t0 … tn-1],
                       "log_probs": [n - 1 numbers: log p(t1 | t0), log p(t2 | t0 t1), …],
                       "last": [vocab_size numbers: log-softmax at the last position, for the token after tn-1]}]
                     of 1, 5, 12 and 19 tokens; no token is put ahead of t0
        "choices": {"prompt": […], "continuations": [three lists, of 1, 2 and 3 tokens],
                    "log_likelihoods": [sum of log p(continuation's tokens | prompt and the tokens before), each computed alone]}
        "greedy": {"eos_token_id": e, "max_new_tokens": 8,
                   "runs": [{"prompt": […], "tokens": [new tokens, with e at the end where it stopped early]}]}
                   of two runs: the first stops early, the second does not. config.json has the same eos_token_id.
    "encoder-decoder": the same, and each entry has the "source" tokens of the encoder (the choices: one for the three).
        "decoder_start_token_id" is the token ahead of all others of the decoder; `tokens`, `prompt` (here always
        empty), `continuations` go without it. "log_probs" has n numbers, from log p(t0 | source, start) on.
        "greedy" tokens are without it too.
    "masked-lm"
        "mask_token_id": m
        "sequences": [{"tokens": […], "from": a, "to": b,
                       "log_probs": [b - a numbers: log p(t_i | tokens, with position i alone replaced by m), i = a … b - 1]}]
                     token types are 0, positions count from 0, nothing is put around the tokens
    "classification"
        "sequences": [{"tokens": […], "log_probs": [log-softmax over the labels]}]
"""

import argparse
import importlib.metadata
import inspect
import itertools
import json
import pathlib
import re
import warnings

import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers import GenerationConfig

from parity_cases import ABSENT, CASES, randomize

assert importlib.metadata.version("transformers") == "5.23.0"
HERE = pathlib.Path(__file__).resolve().parent / "parity"
NEW_TOKENS = 8
MASK = 4
# Rounding between the ways of computing; and what an ignored feature must at least change.
CLOSE, NOTICED = 5e-5, 1e-2
# By how much every token of a greedy search is ahead of the second best.
CLEAR = 2e-2


# ── Checkpoints ──
def edited(config, changes):
    return {key: value for key, value in (config | changes).items() if value is not ABSENT}


def make(name, case):
    """Writes the checkpoint, without the token that ends a generation."""
    folder = HERE / name
    config = case.model.config_class(**case.config)
    config.architectures = [case.model.__name__]
    model = case.model(config).eval()
    randomize(model, CASES[case.twin] if case.twin else case)
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    tensors = load_file(folder / "model.safetensors")
    if case.stored:
        tensors = case.stored(tensors)
    save_file({n: tensors[n].contiguous() for n in sorted(tensors)}, folder / "model.safetensors", {"format": "pt"})
    write_config(folder, case.written)


def write_config(folder, changes):
    path = folder / "config.json"
    path.write_text(json.dumps(edited(json.loads(path.read_text()), changes), indent=2) + "\n")


def load(name, case, changes=None, dtype=torch.float32, attention="eager"):
    """The stored checkpoint; `changes` to its config.json make a feature ignored."""
    folder = HERE / name
    config = edited(json.loads((folder / "config.json").read_text()), changes or {})
    config = case.model.config_class.from_dict(config)
    model, report = case.model.from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation=attention, output_loading_info=True,
        # The grouped product of experts knows no float64.
        **({"experts_implementation": "eager"} if dtype is torch.float64 else {}))
    if changes is None:
        faults = {what: [key for key in keys if not re.search(case.inert, str(key))]
                  for what, keys in report.items()}
        assert not any(faults.values()), (name, faults)
    return model.eval()


# ── Texts ──
class Texts:
    """Token ids, the same for every case of a kind with the same number of token ids."""

    def __init__(self, name, vocabulary):
        self.generator = torch.Generator().manual_seed(sum(map(ord, name)))
        self.vocabulary = vocabulary

    def __call__(self, length):
        return torch.randint(5, self.vocabulary, (length,), generator=self.generator).tolist()


def decoder_texts(name, vocabulary, has_source):
    text = Texts(name, vocabulary)
    source = (lambda n: {"source": text(n)}) if has_source else (lambda n: {})
    lengths = [(9, 1), (7, 5), (14, 12), (21, 19)]
    return {
        "sequences": [{**source(s), "tokens": text(n)} for s, n in lengths],
        "choices": {**source(11), "prompt": [] if has_source else text(8), "continuations": [text(n) for n in (1, 2, 3)]},
    }


# ── What is computed ──
def tensor(tokens):
    return torch.tensor([tokens])


def logits_of(model, batch):
    options = {"use_cache": False} if "use_cache" in takes(model) else {}
    with torch.no_grad():
        return model(**batch, **options).logits


def takes(model):
    return inspect.signature(type(model).forward).parameters


def inputs(model, tokens, source=None):
    if source is None:
        return {"input_ids": tensor(tokens), "attention_mask": torch.ones(1, len(tokens), dtype=torch.long)}
    start = model.config.decoder_start_token_id
    return {"input_ids": tensor(source), "attention_mask": torch.ones(1, len(source), dtype=torch.long),
            "decoder_input_ids": tensor([start, *tokens])}


def rows(model, tokens, source=None):
    """Log-softmax at every position, shape [positions, vocab_size]."""
    return logits_of(model, inputs(model, tokens, source))[0].log_softmax(-1)


def gathered(log_rows, tokens):
    return log_rows.gather(-1, torch.tensor(tokens, dtype=torch.long)[:, None])[:, 0]


def log_probs(model, entry):
    log_rows = rows(model, entry["tokens"], entry.get("source"))
    targets = entry["tokens"] if "source" in entry else entry["tokens"][1:]
    return gathered(log_rows[:-1], targets), log_rows[-1]


def log_likelihood(model, choices, continuation):
    log_rows = rows(model, choices["prompt"] + continuation, choices.get("source"))
    return gathered(log_rows[-len(continuation) - 1:-1], continuation).sum()


def generate(model, entry, eos, cache):
    """New token ids of transformers' own greedy search; `eos` None: nothing ends it but the number of tokens."""
    never = model.config.vocab_size
    # What a generation config leaves open is taken from the model's: BART's would force its end token at the last place.
    model.generation_config = GenerationConfig()
    config = GenerationConfig(do_sample=False, max_new_tokens=NEW_TOKENS, eos_token_id=never if eos is None else eos, pad_token_id=0, use_cache=cache,
                              decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None))
    batch = inputs(model, entry["prompt"], entry.get("source"))
    given = batch.pop("decoder_input_ids", batch["input_ids"]).shape[1]
    with torch.no_grad():
        return model.generate(**batch, generation_config=config)[0, given:].tolist()


def greedy_margins(model, entry, tokens):
    """How far the best token is ahead of the second, at every step; asserts that `tokens` are the best ones."""
    log_rows = rows(model, entry["prompt"] + tokens, entry.get("source"))[-len(tokens) - 1:-1]
    best = log_rows.topk(2).values
    assert log_rows.argmax(-1).tolist() == tokens
    return best[:, 0] - best[:, 1]


def greedy_runs(model, name, has_source, cache):
    """Two prompts and an end token such that the first stops early and the second does not."""
    text = Texts(name + " greedy", model.config.vocab_size)
    runs = []
    for _ in range(200):
        entry = {"source": text(10), "prompt": []} if has_source else {"prompt": text(6)}
        tokens = generate(model, entry, None, cache)
        if greedy_margins(model, entry, tokens).min() <= CLEAR:
            continue
        runs.append((entry, tokens))
        for (first, one), (second, other) in itertools.permutations(runs, 2):
            ends = [t for i, t in enumerate(one) if 1 <= i <= 6 and t not in one[:i] and t > MASK and t not in other]
            if ends:
                return ends[0], [first, second]
    raise AssertionError(f"{name}: no prompts found")


def decode(model, name, cache):
    has_source = model.config.is_encoder_decoder
    values = decoder_texts(name, model.config.vocab_size, has_source)
    for entry in values["sequences"]:
        entry["log_probs"], entry["last"] = log_probs(model, entry)
    choices = values["choices"]
    choices["log_likelihoods"] = torch.stack([log_likelihood(model, choices, c) for c in choices["continuations"]])
    eos, runs = greedy_runs(model, name, has_source, cache)
    for entry in runs:
        entry["tokens"] = generate(model, entry, eos, cache)
        assert entry["tokens"] == generate(model, entry, eos, False)
    assert len(runs[0]["tokens"]) < NEW_TOKENS == len(runs[1]["tokens"]) and runs[0]["tokens"][-1] == eos
    values["greedy"] = {"eos_token_id": eos, "max_new_tokens": NEW_TOKENS, "runs": runs}
    start = {"decoder_start_token_id": model.config.decoder_start_token_id} if has_source else {}
    return start | values


def masked_log_probs(model, entry):
    found = []
    for i in range(entry["from"], entry["to"]):
        masked = entry["tokens"][:i] + [MASK] + entry["tokens"][i + 1:]
        found.append(rows(model, masked)[i, entry["tokens"][i]])
    return torch.stack(found)


def masked(model, name):
    text = Texts(name, model.config.vocab_size)
    sequences = [{"tokens": text(n), "from": a, "to": b} for n, a, b in [(9, 1, 8), (17, 5, 16)]]
    for entry in sequences:
        entry["log_probs"] = masked_log_probs(model, entry)
    return {"mask_token_id": MASK, "sequences": sequences}


def classified(model, name):
    text = Texts(name, model.config.vocab_size)
    sequences = [{"tokens": text(n)} for n in (4, 11, 18)]
    for entry in sequences:
        entry["log_probs"] = rows(model, entry["tokens"])
    return {"sequences": sequences}


def kind_of(case):
    kind = case.model.__name__
    return next(k for part, k in [("MaskedLM", "masked-lm"), ("SequenceClass", "classification"),
                                  ("ConditionalGen", "encoder-decoder"), ("", "decoder")] if part in kind)


def expected(model, name, case):
    name = case.twin or name
    match kind_of(case):
        case "masked-lm":
            return masked(model, name)
        case "classification":
            return classified(model, name)
    return decode(model, name, case.cache)


def recompute(model, kind, values):
    """All numbers of `values`, computed anew in its order; one vector."""
    if kind == "masked-lm":
        return torch.cat([masked_log_probs(model, e) for e in values["sequences"]])
    if kind == "classification":
        return torch.cat([rows(model, e["tokens"]) for e in values["sequences"]])
    parts = [part for e in values["sequences"] for part in log_probs(model, e)]
    choices = values["choices"]
    return torch.cat([*parts, torch.stack([log_likelihood(model, choices, c) for c in choices["continuations"]])])


def numbers(kind, values):
    """The stored numbers in the order of `recompute`."""
    if kind in ("masked-lm", "classification"):
        lists = [e["log_probs"] for e in values["sequences"]]
    else:
        lists = [part for e in values["sequences"] for part in (e["log_probs"], e["last"])]
        lists.append(values["choices"]["log_likelihoods"])
    return torch.cat([torch.as_tensor(part) for part in lists])


# ── Checks ──
def padded(sequences, left, pad=0):
    """Token ids and mask, each [sequences, longest]."""
    longest = max(map(len, sequences))
    fill = [[pad] * (longest - len(s)) for s in sequences]
    ones = [[1] * len(s) for s in sequences]
    zeros = [[0] * len(f) for f in fill]
    join = (lambda a, b: torch.tensor([x + y for x, y in zip(a, b)])) if left else (
        lambda a, b: torch.tensor([y + x for x, y in zip(a, b)]))
    return join(fill, sequences), join(zeros, ones)


def check_padding(model, kind, values):
    """A padded batch gives what each sequence gives alone: decoders padded left, all others right."""
    entries = values["sequences"]
    left = kind == "decoder"
    tokens, mask = padded([e.get("source", e["tokens"]) for e in entries], left)
    batch = {"input_ids": tokens, "attention_mask": mask}
    if left and "position_ids" in takes(model):
        batch["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    if kind == "encoder-decoder":
        start = model.config.decoder_start_token_id
        batch["decoder_input_ids"], mask = padded([[start, *e["tokens"]] for e in entries], False)
    together = logits_of(model, batch).log_softmax(-1)
    for i, entry in enumerate(entries):
        alone = rows(model, entry["tokens"], entry.get("source"))
        batched = together[i] if kind == "classification" else together[i][mask[i].bool()]
        difference = (alone - batched).abs().max()
        assert difference < CLOSE, (kind, i, difference)


def change_if_ignored(name, case, values, ignored):
    changes = ignored if isinstance(ignored, dict) else {}
    model = load(name, case, changes)
    if not isinstance(ignored, dict):
        with torch.no_grad():
            ignored(model)
    kind = kind_of(case)
    return (recompute(model, kind, values) - numbers(kind, values)).abs().max().item()


def check(name, case, values):
    kind = kind_of(case)
    model = load(name, case)
    stored = numbers(kind, values)
    assert ((recompute(model, kind, values) - stored).abs() <= CLOSE).all(), name
    if model._supports_sdpa:
        other = load(name, case, attention="sdpa")
        assert ((recompute(other, kind, values) - stored).abs() <= CLOSE).all(), name
    check_padding(model, kind, values)
    greedy = values.get("greedy", {"runs": []})
    for run in greedy["runs"]:
        assert generate(model, run, greedy["eos_token_id"], case.cache) == run["tokens"], (name, run)
    if case.twin:
        twin = json.loads((HERE / case.twin / "expected.json").read_text())
        assert twin == json.loads(dumped(values)), (name, case.twin)
    changes = {}
    for feature, ignored in case.ignored.items():
        changes[feature] = change_if_ignored(name, case, values, ignored)
        assert changes[feature] > NOTICED, (name, feature, changes[feature])
    return changes


# ── Files ──
def plain(value):
    if isinstance(value, torch.Tensor):
        return [plain(v) for v in value.tolist()]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def dumped(values):
    return json.dumps(values, default=plain, separators=(",", ":"))


def write(name, case):
    make(name, case)
    model = load(name, case)
    values = expected(model, name, case)
    if "greedy" in values:
        write_config(HERE / name, {"eos_token_id": values["greedy"]["eos_token_id"]})
    (HERE / name / "expected.json").write_text(dumped(values) + "\n")
    values = json.loads((HERE / name / "expected.json").read_text())
    kind = kind_of(case)
    spread = logits_of(model, inputs(model, values["sequences"][-1]["tokens"], values["sequences"][-1].get("source"))).std()
    changes = check(name, case, values)
    print(f"{name:30} spread of logits {spread:.2f}", *(f"{f}: {c:.2g}" for f, c in changes.items()), sep="; ")
    assert kind == "classification" or 0.4 < spread < 4.0, name
    return {"case": name, "kind": kind, "model_type": model.config.model_type, "shows": case.shows, "twin": case.twin,
            "ignored": {feature: round(change, 3) for feature, change in changes.items()}}


def write_all(names):
    path = HERE / "cases.json"
    HERE.mkdir(exist_ok=True)
    written = {name: write(name, CASES[name]) for name in names}
    before = {entry["case"]: entry for entry in json.loads(path.read_text())} if path.exists() else {}
    entries = before | written
    lines = ",\n".join(json.dumps(entries[name]) for name in CASES if name in entries)
    path.write_text(f"[\n{lines}\n]\n")


# ── float64 ──
class Doubled(TorchFunctionMode):
    """Turns the models' own casts to float32 into casts to float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        def wider(value):
            return torch.float64 if value is torch.float32 else value
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        return function(*map(wider, args), **{key: wider(value) for key, value in (kwargs or {}).items()})


def distance_to_float64(name, case):
    values = json.loads((HERE / name / "expected.json").read_text())
    kind = kind_of(case)
    torch.set_default_dtype(torch.float64)
    with Doubled():
        exact = recompute(load(name, case, dtype=torch.float64), kind, values)
    torch.set_default_dtype(torch.float32)
    assert exact.dtype == torch.float64
    return (exact - numbers(kind, values)).abs().max().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help="names of cases; all when left out")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--float64", action="store_true")
    options = parser.parse_args()
    names = options.cases or list(CASES)
    warnings.filterwarnings("ignore")
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.float64:
        distances = {name: distance_to_float64(name, CASES[name]) for name in names}
        for name, distance in distances.items():
            print(f"{name:30} {distance:.1e}")
        print(f"largest |float32 - float64|: {max(distances.values()):.1e}")
    elif options.check:
        for name in names:
            check(name, CASES[name], json.loads((HERE / name / "expected.json").read_text()))
        print(f"{len(names)} cases as stored")
    else:
        write_all(names)


if __name__ == "__main__":
    main()
