"""The program's scores against lm-eval's, document by document.

    python compare.py OURS.parquet THEIRS.jsonl [--margin 1e-3] [--json]

OURS is written by `merge-search eval MODEL --task T… --split search --per-doc OURS.parquet`: one row per choice, with the
columns task, doc (from 0), choice (from 0), log_likelihood, chosen, target. THEIRS is written by score.py. Per task: documents,
equal predictions, the largest difference of a choice's log-likelihood, and the documents with another prediction though
lm-eval's margin is above --margin. Exit code 1 if there is such a document, or if a difference is not a
number, or if one side has documents, choices or targets that the other has not.
"""

import argparse
import json
import math
import sys
from collections import defaultdict

import pyarrow.parquet


def read_ours(file):
    """(task, doc) → {choice → nats}, chosen, target."""
    docs = defaultdict(lambda: {"nats": {}})
    for row in pyarrow.parquet.read_table(file, columns=["task", "doc", "choice", "log_likelihood", "chosen", "target"]).to_pylist():
        doc = docs[row["task"], row["doc"]]
        doc["nats"][row["choice"]] = row["log_likelihood"]
        doc["chosen"], doc["target"] = row["chosen"], row["target"]
    return dict(docs)


def read_theirs(file):
    with open(file, encoding="utf-8") as lines:
        return {(doc["task"], doc["doc"]): doc for doc in map(json.loads, lines)}


def same_question(our, their):
    return sorted(our["nats"]) == list(range(len(their["log_likelihoods"]))) and our["target"] == their["target"]


def compare(task, ours, theirs, margin):
    both = sorted(key for key in ours.keys() & theirs.keys() if key[0] == task)
    alike = [key for key in both if same_question(ours[key], theirs[key])]
    other = [key for key in alike if ours[key]["chosen"] != theirs[key]["prediction"]]
    differences = [(abs(ours[key]["nats"][choice] - nats), key[1])
                   for key in alike for choice, nats in enumerate(theirs[key]["log_likelihoods"])]
    # a NaN is no agreement
    greatest, at = max(differences, key=lambda pair: (pair[0] != pair[0], pair[0]), default=(0.0, None))
    return {"task": task, "docs": len(alike), "equal": len(alike) - len(other), "largest_difference": greatest, "at_doc": at,
            "close": sum(theirs[key]["margin"] <= margin for key in alike),
            "wrong": [key[1] for key in other if not theirs[key]["margin"] <= margin],
            "other_question": [key[1] for key in both if key not in alike],
            "only_ours": sum(key[0] == task for key in ours.keys() - theirs.keys()),
            "only_theirs": sum(key[0] == task for key in theirs.keys() - ours.keys())}


def agrees(row):
    finite = math.isfinite(row["largest_difference"])
    return finite and not (row["wrong"] or row["other_question"] or row["only_ours"] or row["only_theirs"])


def show(row):
    print(f"{row['task']:<18} {row['equal']} of {row['docs']} predictions equal, largest |Δll| {row['largest_difference']:.2e} "
          f"(doc {row['at_doc']}), {row['close']} within the margin")
    if row["wrong"]:
        print(f"  other prediction beyond the margin: docs {row['wrong']}")
    if row["other_question"]:
        print(f"  other choices or target: docs {row['other_question']}")
    if row["only_ours"] or row["only_theirs"]:
        print(f"  only ours: {row['only_ours']} docs, only theirs: {row['only_theirs']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    parser.add_argument("--margin", type=float, default=1e-3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    ours, theirs = read_ours(arguments.ours), read_theirs(arguments.theirs)
    tasks = dict.fromkeys(key[0] for key in [*theirs, *ours])
    table = [compare(task, ours, theirs, arguments.margin) for task in tasks]
    if arguments.json:
        print(json.dumps(table, indent=1))
    else:
        for row in table:
            show(row)
        print("agree" if all(map(agrees, table)) else "DISAGREE")
    sys.exit(not all(map(agrees, table)))


if __name__ == "__main__":
    main()
