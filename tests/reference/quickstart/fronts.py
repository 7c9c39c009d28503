"""Fronts of the routed quickstart: what they hold, and two optimizers at an equal budget.

    python tests/reference/quickstart/fronts.py PROGRAM OUT.json --budget 10m --seeds 0 1 2 3 4 [--workers 1]
        [--optimizers scalarised-cma nsga2] [--space search-spaces/quickstart-routed.toml] [--keep FOLDER] [--side-by-side 2]

Runs PROGRAM once for each optimizer and seed, or takes the run in FOLDER/OPTIMIZER-SEED if it is there. Reads each run's
front.parquet (polars) and writes, by run: members with objective on holdout and measured time, the ratio of the
slowest to the fastest time, the most accurate member's (by selection) objective on holdout, whether the fastest one beats the base
model in both with intervals apart, and the hypervolume of the members (holdout objective above 0, time below 2).
"""

import argparse
import json
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import polars as pl

REFERENCE_TIME = 2.0


def search(arguments, name, space, optimizer, seed, folder):
    command = [arguments.program, space, *arguments.limit, "--seed", str(seed), "--workers", str(arguments.workers)]
    command += ["--name", name, "--results", str(folder), "--quiet"]
    command += ["--optimizer", optimizer] if optimizer else []
    if not (folder / name / "front.parquet").exists():
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / name


def hypervolume(points):
    """Area dominated by (time, objective) points, above 0 and left of REFERENCE_TIME."""
    area, best = 0.0, 0.0
    for time, objective in sorted(points, key=lambda p: (p[0], -p[1])):
        if time < REFERENCE_TIME and objective > best:
            area += (REFERENCE_TIME - time) * (objective - best)
            best = objective
    return area


def front(run):
    table = pl.read_parquet(run / "front.parquet")
    rows = table.to_dicts()
    members = [row for row in rows if row["member"] and row["objective_holdout"] is not None]
    base = next(row for row in rows if row["name"] == "base")
    best = max(members, key=lambda row: row["objective_selection"])
    fastest = min(members, key=lambda row: row["relative_time"])
    times = [row["relative_time"] for row in members]
    return {
        "members": [
            {key: row[key] for key in ("trial", "name", "objective_selection", "objective_holdout", "relative_time")}
            | {"time_interval": [row["relative_time_low"], row["relative_time_high"]]}
            for row in members
        ],
        "time_ratio": max(times) / min(times),
        "best_holdout": best["objective_holdout"],
        "fastest": [fastest["relative_time"], fastest["objective_holdout"]],
        "fastest_beats_base": fastest["objective_holdout_low"] > base["objective_holdout_high"]
        and fastest["relative_time_high"] < base["relative_time_low"],
        "hypervolume": hypervolume([(row["relative_time"], row["objective_holdout"]) for row in members]),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget")
    parser.add_argument("--trials")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--optimizers", nargs="+", default=["scalarised-cma", "nsga2"])
    parser.add_argument("--space", default="search-spaces/quickstart-routed.toml")
    parser.add_argument("--side-by-side", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    arguments.limit = ["--trials", arguments.trials] if arguments.trials else ["--budget", arguments.budget]
    folder = arguments.keep or Path(tempfile.mkdtemp())
    jobs = [(o, seed) for seed in arguments.seeds for o in arguments.optimizers]

    def run(job):
        optimizer, seed = job
        name = f"{optimizer}-{seed}"
        return name, front(search(arguments, name, arguments.space, optimizer, seed, folder))

    with ThreadPoolExecutor(arguments.side_by_side) as pool:
        runs = dict(pool.map(run, jobs))
    summary = {
        optimizer: {
            "hypervolume": [runs[f"{optimizer}-{seed}"]["hypervolume"] for seed in arguments.seeds],
            "median_hypervolume": median(runs[f"{optimizer}-{seed}"]["hypervolume"] for seed in arguments.seeds),
            "members": [len(runs[f"{optimizer}-{seed}"]["members"]) for seed in arguments.seeds],
            "time_ratio": [runs[f"{optimizer}-{seed}"]["time_ratio"] for seed in arguments.seeds],
            "best_holdout": [runs[f"{optimizer}-{seed}"]["best_holdout"] for seed in arguments.seeds],
            "fastest": [runs[f"{optimizer}-{seed}"]["fastest"] for seed in arguments.seeds],
            "fastest_beats_base": [runs[f"{optimizer}-{seed}"]["fastest_beats_base"] for seed in arguments.seeds],
        }
        for optimizer in arguments.optimizers
    }
    result = {"limit": arguments.limit, "workers": arguments.workers, "summary": summary, "runs": runs}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


main()
