"""What lm-eval's `hf` backend says of every document of docs/tasks, for the models of docs/models.

    pip install -r requirements.txt
    python docs_models.py && python docs_data.py && python docs.py

Writes docs/tasks/last_word.jsonl (some targets are what a model would say itself) and docs/<model>.json:

    model, lm_eval, transformers, max_length, prefix_token_id
    runs[]: task, options (what lm-eval takes on its command line), metrics (name,filter → value), first_context (of document 0)
    runs[].docs[], in the file's order:
        context               first 16 hex digits of the SHA-256 of the context's UTF-8
        target                index of the right choice; text, or texts, for free answers
        log_likelihoods[]     nats per choice, f32 to 6 decimals; `unconditional` likewise where acc_mutual_info asks for it
        acc, acc_norm, ...    1 or 0, as lm-eval scored the document
        log_likelihood, is_greedy       output_type loglikelihood; log_likelihood alone for loglikelihood_rolling
        raw, filtered {filter → text}, exact_match {filter → 0 or 1}, gap    generate_until; gap is the smallest difference of
                              logits between the best and the second best token on the way: below 1e-3 other arithmetic may
                              say another text

The model llama is read with `tokenizer_class` PreTrainedTokenizerFast: transformers 5 builds a LlamaTokenizer anew from its
vocabulary and thereby loses the normalizer of tokenizer.json (texts that begin with a blank come out differently).
"""

import hashlib
import importlib.metadata
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
CACHE = tempfile.TemporaryDirectory()
os.environ["HF_DATASETS_CACHE"] = CACHE.name

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tokenizers import Tokenizer

from docs_data import phrase, write
from docs_models import CONFIGS, HERE, NASTY, OUT

PINNED = {"lm-eval": "0.4.13", "transformers": "5.23.0", "torch": "2.15.0", "tokenizers": "0.23.3"}
TASKS = HERE / "docs" / "tasks"
PLAIN = ["list_choices", "field_choices", "jinja_choices", "jinja_letters", "trailing_blank", "trailing_blank_delimited", "empty_prompt",
         "shots_train", "shots_listed", "shots_same_split", "shots_unnamed_split", "generated", "generated_shots", "last_word", "pages"]
SYSTEM = "You answer briefly."
CHAT = dict(apply_chat_template=True)
OPTIONS = [
    (PLAIN, {}),
    (["shots_train", "last_word"], dict(system_instruction=SYSTEM)),
    (["list_choices", "shots_train", "shots_listed", "generated_shots", "trailing_blank", "last_word"], dict(CHAT, fewshot_as_multiturn=True)),
    (["shots_train", "shots_listed"], dict(CHAT, fewshot_as_multiturn=False)),
    (["list_choices", "shots_train", "generated_shots"], dict(CHAT, fewshot_as_multiturn=True, system_instruction=SYSTEM)),
    (["shots_train"], dict(CHAT, fewshot_as_multiturn=False, system_instruction=SYSTEM)),
    (["list_choices", "empty_prompt", "generated"], dict(add_bos_token=False)),
    (["list_choices", "generated"], dict(add_bos_token=True)),
]


class Language(HFLM):
    """The `hf` backend, which keeps how close the choice of a token was."""

    def _model_generate(self, context, max_length, stop, **kwargs):
        out = super()._model_generate(context, max_length, stop, output_scores=True, return_dict_in_generate=True, **kwargs)
        tops = [step[0].topk(2).values for step in out.scores]
        self.gaps.append(min(float(top[0] - top[1]) for top in tops))
        return out.sequences


def as_written(name, folder):
    """A copy of the model whose tokenizer is tokenizer.json, and nothing else."""
    shutil.copytree(OUT / name, folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config["tokenizer_class"] == "LlamaTokenizer":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config), encoding="utf-8")
    return folder


def loaded(folder, **more):
    model = Language(pretrained=str(folder), device="cpu", dtype="float32", batch_size=1, **more)
    model.gaps = []
    return model


def check(model, folder):
    """The backend's tokenizer is tokenizer.json, and nothing else."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in NASTY:
        for special in (True, False):
            assert tokenizer.encode(text, add_special_tokens=special).ids == model.tok_encode(text, add_special_tokens=special), text


def own_words(model, text, count=2):
    """What the model says next, if its text is read as the same tokens again."""
    ids = model.tok_encode(text)
    with torch.no_grad():
        for _ in range(count):
            ids = ids + [int(model.model(torch.tensor([ids])).logits[0, -1].argmax())]
    whole = model.tokenizer.decode(ids, skip_special_tokens=True)
    if whole.startswith(text) and len(whole) > len(text) and "\ufffd" not in whole and model.tok_encode(whole) == ids:
        return whole[len(text):]
    return None


def last_words(folders, count=25):
    """Texts with a target: some are the words of one of the models, the others are drawn."""
    draw, docs = random.Random(99), []
    for name in ("llama", "qwen2", "llama3"):
        model, found = loaded(folders[name]), 0
        for _ in range(400):
            text = phrase(draw, 1, 5)
            if found < 4 and (target := own_words(model, text)):
                docs.append({"text": text, "target": target})
                found += 1
    while len(docs) < count:
        docs.append({"text": phrase(draw) + draw.choice(["", " ", ".\n", ","]), "target": draw.choice(["", " "]) + phrase(draw, 1, 3)})
    write("last_word", docs)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def rounded(number):
    return round(float(number), 6)


def right(sample, choices):
    target = sample["target"]
    return target if isinstance(target, int) else choices.index(target) if target in choices else None


def choices_of(sample, delimiter, metrics):
    lls = [rounded(pair[0]) for pair in sample["filtered_resps"]]
    count = len(lls) // 2 if "acc_mutual_info" in metrics else len(lls)
    continuations = [args[1] for args in sample["arguments"][:count]]
    doc = {"target": right(sample, [text.removeprefix(delimiter) for text in continuations]), "log_likelihoods": lls[:count]}
    if count < len(lls):
        doc["unconditional"] = lls[count:]
    return doc | {metric: int(sample[metric]) for metric in metrics}


def of_sample(sample, kind, delimiter):
    metrics = sample["metrics"]
    if kind == "multiple_choice":
        return choices_of(sample, delimiter, metrics)
    if kind == "loglikelihood":
        return {"target": sample["target"], "log_likelihood": rounded(sample["filtered_resps"][0][0]), "is_greedy": int(sample["filtered_resps"][0][1])}
    return {"log_likelihood": rounded(sample["filtered_resps"][0])}


def of_generation(samples, gaps):
    """One document from the samples of its filters."""
    first = samples[0]
    return {"target": first["target"], "raw": first["resps"][0][0], "filtered": {s["filter"]: s["filtered_resps"][0] for s in samples},
            "exact_match": {s["filter"]: int(s["exact_match"]) for s in samples}, "gap": round(gaps[first["arguments"][0][0]], 4)}


def documents(samples, config, gaps):
    kind, by_doc = config["output_type"], {}
    for sample in samples:
        by_doc.setdefault(sample["doc_id"], []).append(sample)
    docs = []
    for _, own in sorted(by_doc.items()):
        context = "" if kind == "loglikelihood_rolling" else own[0]["arguments"][0][0]
        doc = of_generation(own, gaps) if kind == "generate_until" else of_sample(own[0], kind, config["delimiter"])
        docs.append({"context": digest(context)} | doc)
    return docs


def run(model, tasks, options):
    asked = {key: value for key, value in options.items() if key != "add_bos_token"}
    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    model.gaps, order = [], []
    model.cache_hook.add_partial = lambda kind, args, result: order.append(args[0]) if kind == "generate_until" else None
    results = lm_eval.simple_evaluate(model=model, tasks=tasks, task_manager=manager, log_samples=True, bootstrap_iters=0, **asked)
    gaps = dict(zip(order, model.gaps, strict=True))
    for task in tasks:
        config = results["configs"][task]
        config["delimiter"] = "" if options.get("apply_chat_template") else config["target_delimiter"]
        samples = results["samples"][task]
        metrics = {key: rounded(value) for key, value in results["results"][task].items() if "," in key and "stderr" not in key}
        first = samples[0]["arguments"][0][0]
        yield {"task": task, "options": options, "metrics": metrics, "first_context": "" if config["output_type"] == "loglikelihood_rolling" else first,
               "docs": documents(samples, config, gaps)}


def compact(report):
    """One line per document."""
    head = {key: value for key, value in report.items() if key != "runs"}
    runs = []
    for entry in report["runs"]:
        docs = ",\n".join(json.dumps(doc, ensure_ascii=False) for doc in entry["docs"])
        rest = json.dumps({key: value for key, value in entry.items() if key != "docs"}, ensure_ascii=False)
        runs.append(f'{rest[:-1]}, "docs": [\n{docs}]}}')
    return json.dumps(head)[:-1] + ', "runs": [\n' + ",\n".join(runs) + "]}\n"


def report(name, folder):
    runs, model = [], loaded(folder)
    check(model, folder)
    for tasks, options in OPTIONS:
        if options.get("apply_chat_template") and "chat_template" not in CONFIGS[name]:
            continue
        asked = loaded(folder, add_bos_token=options["add_bos_token"]) if "add_bos_token" in options else model
        runs += run(asked, tasks, options)
    versions = {"lm_eval": PINNED["lm-eval"], "transformers": PINNED["transformers"]}
    return {"model": name, **versions, "max_length": model.max_length, "prefix_token_id": model.prefix_token_id, "runs": runs}


def main():
    for package, version in PINNED.items():
        assert importlib.metadata.version(package) == version, package
    os.chdir(TASKS)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: as_written(name, pathlib.Path(scratch) / name) for name in CONFIGS}
        last_words(folders)
        for name in sys.argv[1:] or CONFIGS:
            path = HERE / "docs" / f"{name}.json"
            path.write_text(compact(report(name, folders[name])), encoding="utf-8")
            print(name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
