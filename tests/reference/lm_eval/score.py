"""Scores task folders with lm-eval's `hf` backend on the CPU.

    python -m pip install -r requirements.txt
    python score.py MODEL TASK... [--split search] [--limit N] [--dtype float32|bfloat16] [--batch N] [--threads N] [--out FILE]

MODEL is a Hugging Face checkpoint folder, TASK a task folder of merge-search. The contexts and continuations are those of
the task, tokenized, sorted, batched and scored by lm-eval's own `HFLM.loglikelihood`. Prints docs per second (with
tokenization; without imports and loading) to stderr; writes one JSON line per document to FILE (or stdout):
`{task, doc, target, log_likelihoods, prediction, margin}`, where `doc` counts from 0 in the split and `margin` is the
distance of the best choice to the second best in the task's metric (nats, or nats per character).

With --serve the model stays loaded and measurements are asked for on stdin, one JSON line each (speed.py does):
`{task, split, batch}` → `{seconds, docs, choices, sequences, tokens}`, the last two being what the model has to read,
without padding; `{task, split}` → batch size → docs per second on documents of median length.
"""

import argparse
import contextlib
import json
import logging
import os
import sys
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="true")

import psutil
import torch
import transformers
from lm_eval.models.huggingface import HFLM

from task_folder import TaskFolder

BATCHES = [1, 4, 8, 16, 32]


def load(model, dtype, threads):
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return HFLM(pretrained=model, device="cpu", dtype=dtype, batch_size=1)


def log_likelihoods(lm, task, docs, batch):
    """Document → choice → nats; and the seconds that took."""
    lm.batch_size_per_gpu = batch
    # as the task says, whatever the tokenizer would do by itself
    lm.add_bos_token = task.add_bos_token
    requests = task.requests(docs)
    start = time.perf_counter()
    scores = iter(lm.loglikelihood(requests, disable_tqdm=True))
    seconds = time.perf_counter() - start
    return [[next(scores)[0] for _ in doc.choices] for doc in docs], seconds


def line(task, doc, nats):
    scores = task.metric_scores(doc, nats)
    second, best = sorted(scores)[-2:]
    return {"task": task.name, "doc": doc.index, "target": doc.target, "log_likelihoods": nats,
            "prediction": scores.index(best), "margin": best - second}


def score(lm, folder, arguments, out):
    task = TaskFolder(folder)
    docs = task.docs(arguments.split, arguments.limit)
    nats, seconds = log_likelihoods(lm, task, docs, arguments.batch)
    lines = [line(task, doc, values) for doc, values in zip(docs, nats)]
    out.writelines(json.dumps(entry) + "\n" for entry in lines)
    right = sum(entry["prediction"] == entry["target"] for entry in lines)
    print(f"{task.name}: {len(docs)} docs in {seconds:.2f} s, {len(docs) / seconds:.2f} docs/s, "
          f"{task.metric} {100 * right / len(docs):.1f} %", file=sys.stderr)


def reads(lm, task, docs):
    """The token sequences that the model has to read: one per choice, but one for all choices of a single token."""
    pairs = [lm._encode_pair(*request.args) for request in task.requests(docs)]
    # the last token is predicted, never read
    return list(dict.fromkeys(tuple(context + continuation)[:-1] for context, continuation in pairs))


def measured(lm, task, docs, batch):
    sequences = reads(lm, task, docs)
    nats, seconds = log_likelihoods(lm, task, docs, batch)
    return {"seconds": seconds, "docs": len(docs), "choices": sum(map(len, nats)),
            "sequences": len(sequences), "tokens": sum(map(len, sequences))}


def fits(lm, longest, batch):
    """Whether logits and log-probabilities of a batch take less than half of the free memory."""
    return 2 * batch * longest * lm.config.vocab_size * lm.model.dtype.itemsize < psutil.virtual_memory().available / 2


def median_docs(lm, task, docs):
    """Neighbours in length, as in a sorted batch of the whole task, and so many that the largest batch is full."""
    ordered = sorted(docs, key=lambda doc: len(lm.tok_encode(doc.context)))
    middle = len(ordered) // 2
    for half in range(1, middle):
        chosen = ordered[middle - half:middle + half]
        if len(reads(lm, task, chosen)) >= BATCHES[-1]:
            return chosen
    return ordered


def scan(lm, task, docs):
    """Batch size → docs per second; the fastest two are tried again. Sizes that do not fit are left out."""
    chosen = median_docs(lm, task, docs)
    longest = max(map(len, reads(lm, task, docs)))
    rate = lambda batch: len(chosen) / log_likelihoods(lm, task, chosen, batch)[1]
    log_likelihoods(lm, task, chosen[:1], 1)
    rates = {batch: rate(batch) for batch in BATCHES if batch == 1 or fits(lm, longest, batch)}
    for batch in sorted(rates, key=rates.get)[-2:]:
        rates[batch] = max(rates[batch], rate(batch))
    return rates


def serve(lm):
    print(json.dumps({"ready": True}), flush=True)
    for asked in map(json.loads, sys.stdin):
        task = TaskFolder(asked["task"])
        docs = task.docs(asked["split"])
        answer = measured(lm, task, docs, asked["batch"]) if "batch" in asked else scan(lm, task, docs)
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--split", default="search")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=argparse.FileType("w"), default="-")
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        lm = load(arguments.model, arguments.dtype, arguments.threads)
    if arguments.serve:
        serve(lm)
    for folder in arguments.tasks:
        score(lm, folder, arguments, arguments.out)


if __name__ == "__main__":
    main()
