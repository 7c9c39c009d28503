#!/usr/bin/env python3
"""Does the printed 95 % interval of the winner on holdout hold the truth?

    cargo run --release --example train_quickstart -- --out FRESH --fresh 10000 --fresh-seed 1
    python3 tests/reference/quickstart/coverage.py target/release/merge-search FRESH/datasets --runs 20 > results/selection.json

Runs the quickstart's search with seeds 0, 1, … and scores each winner on ten times as many fresh documents of the same
generator, none of which is in a split. Beside it the naive claim: the best score observed on search. Only the standard
library is needed.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

TASKS = ["arithmetic", "logic", "strings", "agreement", "mixed"]
REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def prepare(fresh):
    """Task folders whose holdout split is the fresh documents; the other splits cannot be empty."""
    for task in TASKS:
        folder, original = fresh / task, REPOSITORY / "datasets" / task
        head = (original / "task.toml").read_text().split("[splits]")[0]
        splits = 'search = "search.jsonl"\nselection = "selection.jsonl"\nholdout = "fresh.jsonl"\n'
        (folder / "task.toml").write_text(f"{head}[splits]\n{splits}")
        for split in ["search", "selection"]:
            lines = (original / f"{split}.jsonl").read_text().splitlines(True)[:2]
            (folder / f"{split}.jsonl").write_text("".join(lines))


def said(command, folder):
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("fresh", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trials", type=int, default=300)
    arguments = parser.parse_args()
    program, fresh = arguments.program.resolve(), arguments.fresh.resolve()
    prepare(fresh)
    folder = pathlib.Path(tempfile.mkdtemp())
    rows = []
    for seed in range(arguments.first, arguments.first + arguments.runs):
        report = said([program, "--trials", arguments.trials, "--seed", seed, "--name", f"s{seed}", "--json"], folder)
        recipe = folder / "results" / f"s{seed}" / "best.yaml"
        tasks = [word for task in TASKS for word in ("--task", fresh / task)]
        truth = said([program, "eval", recipe, *tasks, "--split", "holdout", "--json"], folder)["geometric_mean"]
        holdout = report["winner"]["holdout"]
        naive = report["best_observed"]["search"]["value"]
        row = {
            "seed": seed, "truth": truth, "holdout": holdout["value"], "low": holdout["low"], "high": holdout["high"],
            "covered": holdout["low"] <= truth <= holdout["high"], "naive_claim": naive,
            "search": report["winner"]["search"]["value"], "selection": report["winner"]["selection"]["value"],
            "winner_from": report["finals"]["winner_from"],
        }
        rows.append(row)
        print(json.dumps(row), file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    print(json.dumps(rows, indent=1))
    covered = sum(row["covered"] for row in rows)
    gap = sum(row["naive_claim"] - row["truth"] for row in rows) / len(rows)
    print(f"{covered} of {len(rows)} intervals hold the truth; the best observed claims {100 * gap:+.1f} points on average",
          file=sys.stderr)


main()
