"""Scores an exported checkpoint with transformers and compares with the run's own rows.

    python tests/reference/score_export.py RUN EXPORTED TASK_FOLDER...

RUN is a run folder, EXPORTED what `merge-search export RUN -o EXPORTED` wrote, TASK_FOLDER the folders of the run's
tasks. Checks, on the holdout split: the accuracy of every task equals the winner's row, every document's choice and
margin (log-likelihood of the right choice minus the best other one's) equal the items files within 1e-3.

Documents are scored by `acc`; prompts end without a blank. Pinned: torch 2.15.0, transformers 5.23.0, polars 2.1.0.
"""

import json
import pathlib
import sys
import tomllib

import jinja2
import polars as pl
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-3


def field(doc, word):
    """A field's name, or a Jinja template over the fields."""
    return jinja2.Template(word).render(doc) if "{{" in word else doc[word]


def log_likelihoods(model, tokenizer, prompt, choices, task):
    """lm-eval's rule: encode prompt and choice together, split at the length of the prompt's own encoding."""
    special = task.get("add_bos_token", False)
    delimiter = task.get("target_delimiter", " ")
    context = len(tokenizer(prompt, add_special_tokens=special)["input_ids"])
    scores = []
    for choice in choices:
        ids = tokenizer(prompt + delimiter + choice, add_special_tokens=special)["input_ids"]
        with torch.no_grad():
            log_probs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        scores.append(sum(log_probs[i - 1, ids[i]].item() for i in range(context, len(ids))))
    return scores


def main(run, exported, folders):
    torch.set_num_threads(2)
    tokenizer = AutoTokenizer.from_pretrained(exported)
    model = AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    rows = pl.concat([pl.read_parquet(f) for f in sorted((run / "trials").glob("final-holdout*.parquet"))])
    winner = rows.filter(pl.col("name") == "winner")
    trial = winner["trial"][0]
    items = pl.concat([pl.read_parquet(f) for f in sorted((run / "items").glob("final-holdout*.parquet"))])
    items = items.filter(pl.col("trial") == trial)
    worst, docs_checked = 0.0, 0
    for folder in folders:
        task = tomllib.loads((folder / "task.toml").read_text())
        name = task["task"]
        mine = items.filter(pl.col("task") == name).unique(subset=["doc"]).sort("doc")
        docs = [json.loads(line) for line in (folder / task["splits"]["holdout"]).open()][: len(mine)]
        right = 0
        for doc, row in zip(docs, mine.iter_rows(named=True), strict=True):
            prompt, choices = field(doc, task["doc_to_text"]), field(doc, task["doc_to_choice"])
            scores = log_likelihoods(model, tokenizer, prompt, choices, task)
            chosen, target = scores.index(max(scores)), field(doc, task["doc_to_target"])
            margin = scores[target] - max(s for i, s in enumerate(scores) if i != target)
            worst = max(worst, abs(margin - row["margin"]))
            if abs(margin) > TOLERANCE:
                assert chosen == row["chosen"], (name, row["doc"])
            right += chosen == target
            docs_checked += 1
        ours = winner[f"accuracy.{name}"][0]
        print(f"{name:16} transformers {right / len(docs):.4f}  merge-search {ours:.4f}")
        assert abs(right / len(docs) - ours) < 1e-9, name
    print(f"{docs_checked} documents, largest difference of a margin {worst:.2e} nats")
    assert worst < TOLERANCE


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], [pathlib.Path(f) for f in sys.argv[3:]])
